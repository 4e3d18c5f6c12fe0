from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied
from rest_framework.validators import UniqueValidator

from accounts import services
from accounts.identifiers import (
    USERNAME_LENGTH,
    normalize_email,
    normalize_username,
    validate_one_line,
    validate_username,
)
from accounts.models import Company, Invitation, Login, Role, User
from accounts.viewsets import CompanyRelatedField
from common.api.serializers import AliasMixin, ModelSerializer, Serializer

PASSWORD_LENGTH = 1024
# Two of the old services said "user" for what is an agent here.
ROLE_CHOICES = [*Role.values, "user"]


class NormalizedMixin:
    """Puts what is sent into its one spelling."""

    normalize: Callable[[str], str]

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)  # type: ignore[misc]
        try:
            return type(self).normalize(text)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages, code=error.code) from None


class EmailField(NormalizedMixin, serializers.EmailField):
    """An email in the one spelling that Bureau keeps."""

    normalize = staticmethod(normalize_email)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)


class UsernameField(NormalizedMixin, serializers.CharField):
    normalize = staticmethod(normalize_username)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=USERNAME_LENGTH, **kwargs)
        self.validators.append(validate_username)


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


class RoleField(serializers.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ROLE_CHOICES, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        role = super().to_internal_value(data)
        return Role.AGENT.value if role == "user" else role


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


class CompanySerializer(ModelSerializer):
    class Meta:
        model = Company
        fields = ("id", "name", "code", "contact_email", "is_active", "created_at", "updated_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Its code names folders and its closing locks everybody out: both are the operator's."""
        if not self.context["request"].user.is_superuser:
            changed = {f for f in ("code", "is_active") if f in attrs and self._differs(f, attrs)}
            if changed:
                error = ErrorDetail(
                    "Only the installation's operator may change this.", "forbidden"
                )
                raise serializers.ValidationError({field: [error] for field in sorted(changed)})
        return attrs

    def _differs(self, field: str, attrs: dict[str, Any]) -> bool:
        return getattr(self.instance, field, None) != attrs[field]


class UserSerializer(ModelSerializer):
    """A person as they and their admin see them."""

    company = CompanySummarySerializer(read_only=True)

    class Meta:
        model = User
        fields: tuple[str, ...] = (
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


class ColleagueSerializer(ModelSerializer):
    """A person as their colleagues see them."""

    class Meta:
        model = User
        fields = ("id", "username", "full_name", "role")
        read_only_fields = fields


class PersonSerializer(UserSerializer):
    """A person as `/users` shows them; who is no admin gets the required fields alone.

    For the API's description.
    """

    email = serializers.EmailField(required=False)
    company = CompanySummarySerializer(required=False)
    is_active = serializers.BooleanField(required=False)
    last_login = serializers.DateTimeField(required=False, allow_null=True)
    created_at = serializers.DateTimeField(required=False)
    updated_at = serializers.DateTimeField(required=False)


class ProfileSerializer(UserSerializer):
    """What a person may change of their own account."""

    class Meta(UserSerializer.Meta):
        read_only_fields: tuple[str, ...] = tuple(
            f for f in UserSerializer.Meta.fields if f != "full_name"
        )


class ManagedUserSerializer(UserSerializer):
    """A person as an admin creates and changes them.

    Created without a `password`, they get a mail by which they choose one themselves.
    """

    email = EmailField(validators=[UniqueAmongLiveUsers("email")])
    username = UsernameField(required=False, validators=[UniqueAmongLiveUsers("username")])
    password = PasswordField(required=False)
    role = RoleField(required=False)
    company_id = CompanyRelatedField(
        queryset=Company.objects.all(),
        required=False,
        write_only=True,
        source="company",
        help_text="Of use to a superuser, when they create a user.",
    )

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "password", "company_id")
        read_only_fields = ("id", "company", "last_login", "created_at", "updated_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance and attrs.get("company", self.instance.company) != self.instance.company:
            error = ErrorDetail("A person can't move to another company.", "invalid")
            raise serializers.ValidationError({"company_id": [error]})
        if "password" in attrs:
            person = self.instance or person_of(attrs)
            check_password_strength(attrs["password"], person)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        company = self.context["request"].user.company
        defaults = {"company": company, "password": None, "role": Role.AGENT}
        return services.create_user(**defaults | validated_data)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        validated_data.pop("company", None)
        return services.update_user(instance, by=self.context["request"].user, **validated_data)


class RoleSerializer(Serializer):
    role = RoleField()


class SignupSerializer(Serializer):
    email = EmailField(validators=[UniqueAmongLiveUsers("email")])
    password = PasswordField()
    username = UsernameField(
        required=False, allow_blank=True, validators=[UniqueAmongLiveUsers("username")]
    )
    full_name = serializers.CharField(
        max_length=200, required=False, allow_blank=True, validators=[validate_one_line]
    )
    company_name = serializers.CharField(
        max_length=200, required=False, allow_blank=True, validators=[validate_one_line]
    )
    invitation = serializers.CharField(
        max_length=100,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="The code of an invitation.",
    )
    role = RoleField(required=False, help_text="`agent`, or nothing.")

    def validate_role(self, role: str) -> str:
        if role != Role.AGENT:
            raise PermissionDenied("Nobody can give themselves this role.", code="role_not_allowed")
        return role

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.pop("role", None)
        check_password_strength(attrs["password"], person_of(attrs))
        return attrs


class LoginSerializer(AliasMixin, Serializer):
    """An OAuth2 password grant, as a form or as JSON; `email` may stand for `username`."""

    aliases: ClassVar = {"username": "email"}

    username = serializers.CharField(required=False, max_length=254)
    email = serializers.CharField(required=False, max_length=254)
    password = PasswordField()
    grant_type = serializers.ChoiceField(["password"], required=False, write_only=True)
    scope = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_id = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_secret = serializers.CharField(required=False, allow_blank=True, write_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**attrs, "identifier": attrs["username"]}


class RefreshSerializer(Serializer):
    refresh_token = serializers.CharField(max_length=4096, write_only=True)


class TokenPairSerializer(serializers.Serializer):
    """What a login and a refresh answer."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField(default="bearer")
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    user = UserSerializer()


class LoginRowSerializer(ModelSerializer):
    """One of a person's logins."""

    last_used_at = serializers.DateTimeField(source="rotated_at", read_only=True)
    current = serializers.SerializerMethodField(help_text="Whether this request came by it.")

    class Meta:
        model = Login
        fields = (
            "id",
            "ip_address",
            "user_agent",
            "current",
            "last_used_at",
            "expires_at",
            "created_at",
            "updated_at",
        )

    def get_current(self, login: Login) -> bool:
        token = self.context["request"].auth
        return token is not None and token["sid"] == str(login.pk)


class InvitationSerializer(ModelSerializer):
    email = EmailField(validators=[UniqueAmongLiveUsers("email")])
    role = RoleField(required=False)
    status = serializers.ChoiceField(["pending", "accepted", "revoked", "expired"], read_only=True)
    invited_by_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Invitation
        fields = (
            "id",
            "email",
            "role",
            "status",
            "invited_by_id",
            "expires_at",
            "accepted_at",
            "revoked_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("expires_at", "accepted_at", "revoked_at")


class PasswordChangeSerializer(AliasMixin, Serializer):
    """`old_password` and `password` are read for `current_password` and `new_password` too."""

    aliases: ClassVar = {"current_password": "old_password", "new_password": "password"}

    current_password = PasswordField(required=False)
    old_password = PasswordField(required=False)
    new_password = PasswordField(required=False)
    password = PasswordField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        user = self.context["request"].user
        if not user.check_password(attrs["current_password"]):
            error = ErrorDetail("This is not your password.", "wrong_password")
            raise serializers.ValidationError({"current_password": [error]})
        check_password_strength(attrs["new_password"], user, "new_password")
        return {"password": attrs["new_password"]}


class PasswordResetSerializer(Serializer):
    email = EmailField()


class MessageSerializer(Serializer):
    """A sentence for people."""

    detail = serializers.CharField()


class PasswordResetConfirmSerializer(AliasMixin, Serializer):
    """`password` is read for `new_password` too."""

    aliases: ClassVar = {"new_password": "password"}

    token = serializers.CharField(max_length=100, write_only=True)
    new_password = PasswordField(required=False)
    password = PasswordField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        check_password_strength(attrs["new_password"], User(), "new_password")
        return {"secret": attrs["token"], "password": attrs["new_password"]}


def person_of(attrs: dict[str, Any]) -> User:
    """Somebody with these attributes, for the rules of what a password must not resemble."""
    return User(**{k: attrs[k] for k in ("email", "username", "full_name") if k in attrs})


def check_password_strength(password: str, user: User, field: str = "password") -> None:
    """Raise the validators' complaints as errors of `field`."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        details = [
            ErrorDetail(message, code=inner.code or "invalid")
            for inner in error.error_list
            for message in inner.messages
        ]
        raise serializers.ValidationError({field: details}) from None
