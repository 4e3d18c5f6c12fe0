from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.validators import UniqueValidator

from accounts.identifiers import (
    USERNAME_LENGTH,
    normalize_email,
    normalize_username,
    validate_username,
)
from accounts.models import Company, Role, User
from common.api.serializers import ModelSerializer, Serializer

PASSWORD_LENGTH = 1024
OLD_NAMES_OF_AGENT = {"user", "agent"}


class EmailField(serializers.EmailField):
    """An email in the one spelling that Bureau keeps."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return normalize_email(super().to_internal_value(data))
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages, code="invalid") from None


class UsernameField(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=USERNAME_LENGTH, **kwargs)
        self.validators.append(validate_username)

    def to_internal_value(self, data: Any) -> str:
        return normalize_username(super().to_internal_value(data))


class PasswordField(serializers.CharField):
    """Never trimmed, never shown; 1,024 characters at most."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=PASSWORD_LENGTH,
            trim_whitespace=False,
            write_only=True,
            style={"input_type": "password"},
            **kwargs,
        )


class UniqueAmongLiveUsers(UniqueValidator):
    """Without regard to case, by the index that keeps it so in the database."""

    def __init__(self, field: str) -> None:
        message = f"A user with this {field} exists already."
        super().__init__(User.objects.live(), message=message, lookup="lower")

    def __call__(self, value: str, serializer_field: Any) -> None:
        super().__call__(value.lower(), serializer_field)


class CompanySummarySerializer(ModelSerializer):
    class Meta:
        model = Company
        fields = ("id", "code", "name")


class UserSerializer(ModelSerializer):
    """A person as they and their admin see them."""

    company = CompanySummarySerializer(read_only=True)

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "username",
            "full_name",
            "role",
            "company",
            "is_active",
            "last_login",
            "created_at",
            "updated_at",
        )
        read_only_fields: tuple[str, ...] = fields


class ProfileSerializer(UserSerializer):
    """What a person may change of their own account."""

    class Meta(UserSerializer.Meta):
        read_only_fields: tuple[str, ...] = tuple(
            f for f in UserSerializer.Meta.fields if f != "full_name"
        )


class SignupSerializer(Serializer):
    email = EmailField(max_length=254, validators=[UniqueAmongLiveUsers("email")])
    password = PasswordField()
    username = UsernameField(
        required=False, allow_blank=True, validators=[UniqueAmongLiveUsers("username")]
    )
    full_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    company_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    role = serializers.ChoiceField(
        [*Role.values, "user"], required=False, help_text="`agent`, or nothing."
    )

    def validate_role(self, role: str) -> str:
        if role not in OLD_NAMES_OF_AGENT:
            raise PermissionDenied("Nobody can give themselves this role.", code="role_not_allowed")
        return role

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.pop("role", None)
        person = User(**{k: attrs[k] for k in ("email", "username", "full_name") if k in attrs})
        check_password_strength(attrs["password"], person)
        return attrs


class LoginSerializer(Serializer):
    """An OAuth2 password grant, as a form or as JSON; `email` may stand for `username`."""

    username = serializers.CharField(required=False, max_length=254)
    email = serializers.CharField(required=False, max_length=254)
    password = PasswordField()
    grant_type = serializers.ChoiceField(["password"], required=False, write_only=True)
    scope = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_id = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_secret = serializers.CharField(required=False, allow_blank=True, write_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["identifier"] = attrs.get("username") or attrs.get("email")
        if not attrs["identifier"]:
            raise serializers.ValidationError({"username": ["This field is required."]}, "required")
        return attrs


class RefreshSerializer(Serializer):
    refresh_token = serializers.CharField(max_length=4096, write_only=True)


class TokenPairSerializer(serializers.Serializer):
    """What a login and a refresh answer."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField(default="bearer")
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    user = UserSerializer()


def check_password_strength(password: str, user: User, field: str = "password") -> None:
    """Raise the validators' complaints as errors of `field`."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        details = [
            serializers.ErrorDetail(message, code=inner.code or "invalid")
            for inner in error.error_list
            for message in inner.messages
        ]
        raise serializers.ValidationError({field: details}) from None
