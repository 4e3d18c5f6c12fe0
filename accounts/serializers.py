from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied

from accounts import services
from accounts.identifiers import MAX_IDENTIFIER_CHARS, MAX_NAME_CHARS, validate_one_line
from accounts.models import Company, Invitation, Login, Role, User
from accounts.password_checks import check_password
from accounts.serializer_fields import (
    EmailField,
    NewEmailField,
    PasswordField,
    RoleField,
    UniqueAmongLiveUsers,
    UsernameField,
    check_password_strength,
)
from accounts.viewsets import CompanyRelatedField
from common.api.serializers import AliasMixin, ModelSerializer, Serializer

IDENTITY_FIELDS = ("email", "username", "full_name")
# A link's secret has 43 characters.
MAX_SECRET_CHARS = 100


class CompanySummarySerializer(ModelSerializer):
    class Meta:
        model = Company
        fields = ("id", "code", "name")


class CompanySerializer(ModelSerializer):
    superuser_fields = ("code", "is_active")

    class Meta:
        model = Company
        fields = ("id", "name", "code", "contact_email", "is_active", "created_at", "updated_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Let only a superuser change `code`, which names folders, and `is_active`."""
        if not self.context["request"].user.is_superuser:
            changed = [field for field in self.superuser_fields if self._is_changed(field, attrs)]
            if changed:
                error = ErrorDetail("Only a superuser can change this field.", "forbidden")
                raise serializers.ValidationError({field: [error] for field in changed})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Company:
        return services.create_company(by=self.context["request"].user, **validated_data)

    def update(self, instance: Company, validated_data: dict[str, Any]) -> Company:
        return services.update_company(instance, by=self.context["request"].user, **validated_data)

    def _is_changed(self, field: str, attrs: dict[str, Any]) -> bool:
        return field in attrs and getattr(self.instance, field, None) != attrs[field]


class UserSerializer(ModelSerializer):
    """All public fields of a user, for the user and for admins."""

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
    """The fields of a user that colleagues can read."""

    class Meta:
        model = User
        fields = ("id", "username", "full_name", "role")
        read_only_fields = fields


class PersonSerializer(UserSerializer):
    """A user in the responses of `/users`; for the OpenAPI schema only.

    Admins get the optional fields of all rows, others those of their own row by its id.
    """

    optional_in_responses = (
        "email",
        "company",
        "is_active",
        "last_login",
        "created_at",
        "updated_at",
    )


class ProfileSerializer(UserSerializer):
    """The user's own account; they can change their `username` and `full_name`."""

    username = UsernameField(required=False, validators=[UniqueAmongLiveUsers("username")])

    class Meta(UserSerializer.Meta):
        read_only_fields: tuple[str, ...] = tuple(
            field for field in UserSerializer.Meta.fields if field not in ("username", "full_name")
        )

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        return services.update_user(instance, by=instance, **validated_data)


class ManagedUserSerializer(UserSerializer):
    """A user as an admin creates and changes them.

    Without a `password`, a new user gets a mail with a link to choose one.
    """

    email = NewEmailField(validators=[UniqueAmongLiveUsers("email")])
    username = UsernameField(required=False, validators=[UniqueAmongLiveUsers("username")])
    password = PasswordField(required=False)
    role = RoleField(required=False)
    company_id = CompanyRelatedField(
        queryset=Company.objects.all(),
        required=False,
        write_only=True,
        source="company",
        help_text="The company of a new user; only a superuser can choose another than their own.",
    )

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "password", "company_id")
        read_only_fields = ("id", "company", "last_login", "created_at", "updated_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance and attrs.get("company", self.instance.company) != self.instance.company:
            error = ErrorDetail("A user can't move to another company.", "invalid")
            raise serializers.ValidationError({"company_id": [error]})
        if "password" in attrs:
            user = self.instance or _build_unsaved_user(attrs)
            check_password_strength(attrs["password"], user)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        by = self.context["request"].user
        defaults = {"company": by.company, "password": None, "role": Role.AGENT}
        return services.create_user(by=by, **defaults | validated_data)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        validated_data.pop("company", None)
        return services.update_user(instance, by=self.context["request"].user, **validated_data)


class RoleSerializer(Serializer):
    role = RoleField()


class SignupSerializer(Serializer):
    email = NewEmailField(validators=[UniqueAmongLiveUsers("email")])
    password = PasswordField()
    username = UsernameField(
        required=False, allow_blank=True, validators=[UniqueAmongLiveUsers("username")]
    )
    full_name = serializers.CharField(
        max_length=MAX_NAME_CHARS, required=False, allow_blank=True, validators=[validate_one_line]
    )
    company_name = serializers.CharField(
        max_length=MAX_NAME_CHARS, required=False, allow_blank=True, validators=[validate_one_line]
    )
    invitation = serializers.CharField(
        max_length=MAX_SECRET_CHARS,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="The code of an invitation.",
    )
    role = RoleField(required=False, help_text="Only `agent` is allowed; it may be left out.")

    def validate_role(self, role: str) -> str:
        if role != Role.AGENT:
            raise PermissionDenied(
                "You can only sign up with the role `agent`.", code="role_not_allowed"
            )
        return role

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.pop("role", None)
        check_password_strength(attrs["password"], _build_unsaved_user(attrs))
        return attrs


class LoginSerializer(AliasMixin, Serializer):
    """An OAuth2 password grant, as a form or as JSON; `email` is an alias of `username`."""

    aliases: ClassVar = {"username": "email"}

    username = serializers.CharField(required=False, max_length=MAX_IDENTIFIER_CHARS)
    email = serializers.CharField(required=False, max_length=MAX_IDENTIFIER_CHARS)
    password = PasswordField()
    grant_type = serializers.ChoiceField(
        ["password"],
        required=False,
        write_only=True,
        error_messages={"invalid_choice": "Only `password` is allowed."},
    )
    scope = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_id = serializers.CharField(required=False, allow_blank=True, write_only=True)
    client_secret = serializers.CharField(required=False, allow_blank=True, write_only=True)


class RefreshSerializer(Serializer):
    refresh_token = serializers.CharField(max_length=4096, write_only=True)


class TokenPairSerializer(serializers.Serializer):
    """The response to a login and a refresh."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.ChoiceField(["bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    user = UserSerializer()


class LoginRowSerializer(ModelSerializer):
    """One of the user's logins."""

    last_used_at = serializers.DateTimeField(source="rotated_at", read_only=True)
    current = serializers.SerializerMethodField(help_text="Whether this request uses this login.")

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
    email = NewEmailField()
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

    def validate_email(self, email: str) -> str:
        """Refuse users of the inviter's company; don't show which accounts other companies have."""
        if self.context["request"].user.company.users.with_identifier(email).exists():
            raise serializers.ValidationError(
                "A user with this email already exists.", code="unique"
            )
        return email


class PasswordChangeSerializer(AliasMixin, Serializer):
    """`old_password` and `password` are aliases of `current_password` and `new_password`."""

    aliases: ClassVar = {"current_password": "old_password", "new_password": "password"}

    current_password = PasswordField(required=False)
    old_password = PasswordField(required=False)
    new_password = PasswordField(required=False)
    password = PasswordField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Count wrong passwords, so that a stolen token can't be used to guess it."""
        request = self.context["request"]._request
        user = self.context["request"].user
        if not check_password(user, attrs["current_password"], request=request):
            error = ErrorDetail("This is not your current password.", "wrong_password")
            raise serializers.ValidationError({"current_password": [error]})
        check_password_strength(attrs["new_password"], user, field="new_password")
        return {"password": attrs["new_password"]}


class EmailChangeSerializer(Serializer):
    """A new address for the own account, and its current password."""

    new_email = NewEmailField(help_text="The address that the link is mailed to.")
    password = PasswordField(help_text="The current password.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Count wrong passwords, so that a stolen token can't be used to guess it."""
        request, user = self.context["request"]._request, self.context["request"].user
        if not check_password(user, attrs["password"], request=request):
            error = ErrorDetail("This is not your current password.", "wrong_password")
            raise serializers.ValidationError({"password": [error]})
        if attrs["new_email"] == user.email:
            error = ErrorDetail("This is your address already.", "unchanged")
            raise serializers.ValidationError({"new_email": [error]})
        return {"new_email": attrs["new_email"]}


class EmailChangeConfirmSerializer(Serializer):
    token = serializers.CharField(
        max_length=MAX_SECRET_CHARS, write_only=True, help_text="The code in the mail."
    )


class PasswordResetSerializer(Serializer):
    email = EmailField()


class MessageSerializer(Serializer):
    """A message for people."""

    detail = serializers.CharField()


class PasswordResetConfirmSerializer(AliasMixin, Serializer):
    """`password` is an alias of `new_password`."""

    aliases: ClassVar = {"new_password": "password"}

    token = serializers.CharField(max_length=MAX_SECRET_CHARS, write_only=True)
    new_password = PasswordField(required=False)
    password = PasswordField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        check_password_strength(attrs["new_password"], User(), field="new_password")
        return {"secret": attrs["token"], "password": attrs["new_password"]}


def _build_unsaved_user(attrs: dict[str, Any]) -> User:
    """Return a user whose email and names the password must not resemble."""
    return User(**{name: attrs[name] for name in IDENTITY_FIELDS if name in attrs})
