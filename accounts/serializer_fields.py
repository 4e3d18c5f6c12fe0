"""Serializer fields and validators of emails, usernames, passwords and roles."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import EmailValidator
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.validators import UniqueValidator

from accounts.identifiers import (
    MAX_IDENTIFIER_CHARS,
    MAX_PASSWORD_CHARS,
    MAX_USERNAME_CHARS,
    normalize_email,
    normalize_password,
    normalize_username,
    validate_new_email,
    validate_username,
)
from accounts.models import Role, User

# "user" is the name of an agent in two of the services that Bureau replaces.
ROLE_CHOICES = [*Role.values, "user"]


class NormalizedMixin:
    """Mixin of fields that replace the value by its normal form."""

    normalize: Callable[[str], str]

    def run_validation(self, data: Any = empty) -> Any:
        """Accept the row's current value, which may be older than today's rules."""
        row = getattr(self.parent, "instance", None)  # type: ignore[attr-defined]
        if row is not None and data == getattr(row, self.source, None):  # type: ignore[attr-defined]
            return data
        return super().run_validation(data)  # type: ignore[misc]

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)  # type: ignore[misc]
        try:
            return type(self).normalize(text)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages, code=error.code) from None


class EmailField(NormalizedMixin, serializers.EmailField):
    normalize = staticmethod(normalize_email)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_IDENTIFIER_CHARS, **kwargs)


class NewEmailField(EmailField):
    """An address for a new account, with stricter rules than for finding an old one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        others = (v for v in self.validators if not isinstance(v, EmailValidator))
        self.validators = [validate_new_email, *others]


class UsernameField(NormalizedMixin, serializers.CharField):
    normalize = staticmethod(normalize_username)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_USERNAME_CHARS, **kwargs)
        self.validators.append(validate_username)


class PasswordField(serializers.CharField):
    """A write-only password, whose spaces are kept."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=MAX_PASSWORD_CHARS,
            trim_whitespace=False,
            write_only=True,
            style={"input_type": "password"},
            **kwargs,
        )


class RoleField(serializers.ChoiceField):
    default_error_messages = {"invalid_choice": f"Choose one of: {', '.join(Role.values)}."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ROLE_CHOICES, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        role = super().to_internal_value(data)
        return Role.AGENT.value if role == "user" else role


class UniqueAmongLiveUsers(UniqueValidator):
    """Validator that rejects the values of live users, in any letter case."""

    def __init__(self, field: str) -> None:
        message = f"A user with this {field} already exists."
        super().__init__(User.objects.live(), message=message, lookup="lower")

    def __call__(self, value: str, serializer_field: Any) -> None:
        super().__call__(value.lower(), serializer_field)


def check_password_strength(password: str, user: User, *, field: str = "password") -> None:
    """Raise the errors of Django's password validators as errors of `field`.

    The password must not resemble the email and names of `user`.
    """
    try:
        validate_password(normalize_password(password), user)
    except DjangoValidationError as error:
        details = [
            ErrorDetail(message, code=inner.code or "invalid")
            for inner in error.error_list
            for message in inner.messages
        ]
        raise serializers.ValidationError({field: details}) from None
