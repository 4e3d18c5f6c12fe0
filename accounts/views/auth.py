"""The routes of sign-up, login, logout, passwords and the user's own account."""

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError

from accounts import services
from accounts.filters import LoginFilter
from accounts.hashing_slot import hashing_slot
from accounts.identifiers import normalize_identifier
from accounts.models import Login, PasswordReset, User
from accounts.serializers import (
    EmailChangeConfirmSerializer,
    EmailChangeSerializer,
    LoginRowSerializer,
    LoginSerializer,
    MessageSerializer,
    PasswordChangeSerializer,
    PasswordResetConfirmSerializer,
    PasswordResetSerializer,
    ProfileSerializer,
    RefreshSerializer,
    SignupSerializer,
    TokenPairSerializer,
    UserSerializer,
)
from accounts.tokens import AccessToken, RefreshToken, parse_token
from accounts.views.validation import validate
from accounts.viewsets import PublicView, ScopedViewSet
from common.api.idempotency import idempotent
from common.api.request_body import SIGN_IN_MAX_BODY_BYTES
from common.api.sparse_fields import SparseFieldsMixin
from common.api.views import APIView
from common.ratelimit.throttles import (
    AuthThrottle,
    TokenThrottle,
    get_first_value,
    remember_address,
)


class PublicAuthView(PublicView):
    """Base of the public auth routes, with rate limits per address and per account.

    The account is what the request names in one of `account_fields`, known or unknown.
    """

    throttle_classes = (AuthThrottle,)
    max_body_bytes = SIGN_IN_MAX_BODY_BYTES
    account_fields: tuple[str, ...] = ("email",)

    def get_throttled_account(self, request: Request) -> str:
        """Return the account in the form that logins look up; "" if the request names none."""
        return normalize_identifier(get_first_value(request, *self.account_fields))


class SignupView(PublicAuthView):
    """Create an account. The setting `SIGNUP` decides who can sign up without an invitation."""

    problem_statuses = (403,)

    @extend_schema(request=SignupSerializer, responses={201: UserSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        # First, because the errors of the serializer would show which accounts exist.
        services.check_right_to_sign_up(
            invitation=get_first_value(request, "invitation"),
            email=normalize_identifier(get_first_value(request, "email")),
        )
        with hashing_slot():
            user = services.sign_up(**validate(SignupSerializer(data=request.data)))
        return Response(UserSerializer(user).data, status=201)


class LoginView(PublicView):
    """Sign in with a username or an email and a password, as a form or as JSON."""

    max_body_bytes = SIGN_IN_MAX_BODY_BYTES
    problem_statuses = (401,)

    @extend_schema(request=LoginSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        serializer = LoginSerializer(data=request.data)
        with hashing_slot():
            data = validate(serializer)
            credentials = {"username": data["username"], "password": data["password"]}
            user = authenticate(request._request, **credentials)
        if not isinstance(user, User):
            raise AuthenticationFailed(
                "The username or the password is wrong.", code="invalid_credentials"
            )
        update_last_login(None, user)  # type: ignore[arg-type]
        # The limit of password resets knows only the address that was entered.
        remember_address(request, user.email.lower())
        return Response(build_token_response(services.start_login(user, request=request)))


class RefreshView(PublicAuthView):
    """Exchange a refresh token for a new pair of tokens; a refresh token works once."""

    throttle_classes = (TokenThrottle,)
    problem_statuses = (401,)

    def get_throttled_account(self, request: Request) -> str:
        """Return the login id of a valid token, else ""."""
        encoded: Any = get_first_value(request, "refresh_token")
        try:
            return str(parse_token(RefreshToken, encoded)["sid"])
        except TokenError:
            return ""

    @extend_schema(request=RefreshSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        data = validate(RefreshSerializer(data=request.data))
        try:
            login = services.rotate_login(data["refresh_token"])
        except TokenError as error:
            raise AuthenticationFailed(str(error), code="invalid_token") from None
        return Response(build_token_response(login))


class LogoutView(APIView):
    """End the login of the access token."""

    handlers_without_body = ("post",)

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        if login := get_current_login(request):
            services.end_login(login, by=request.user)  # type: ignore[arg-type]
        return Response(status=204)


class LoginViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """The active logins of the user."""

    queryset = Login.objects.active()
    serializer_class = LoginRowSerializer
    filterset_class = LoginFilter
    ordering_fields = ("created_at", "rotated_at", "expires_at")
    ordering = "-id"

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.active()

    def destroy(self, request: Request, pk: str) -> Response:
        """End one login."""
        services.end_login(self.get_object(), by=request.user)  # type: ignore[arg-type]
        return Response(status=204)

    @extend_schema(responses={204: None}, operation_id="auth_sessions_destroy_all")
    def destroy_all(self, request: Request) -> Response:
        """End all logins of the user, including the current one."""
        user: Any = request.user
        services.end_all_sessions(user, by=user)
        return Response(status=204)


class ProfileView(SparseFieldsMixin, RetrieveUpdateAPIView):
    """The user's own account."""

    serializer_class = ProfileSerializer

    def get_object(self) -> Any:
        return self.request.user

    def put(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.partial_update(request, *args, **kwargs)


class EmailChangeView(APIView):
    """Mail a link to a new address, which becomes the account's email when the link is used.

    The old address is notified. The response is the same for addresses that other accounts have.
    """

    max_body_bytes = SIGN_IN_MAX_BODY_BYTES

    @extend_schema(request=EmailChangeSerializer, responses={202: MessageSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        serializer = EmailChangeSerializer(data=request.data, context={"request": request})
        user: Any = request.user
        services.request_email_change(user, **validate(serializer), by=user)
        message = "A link was mailed to the new address. The change takes effect when it is used."
        return Response({"detail": message}, status=202)


class EmailChangeConfirmView(PublicAuthView):
    """Change the email with the code that was mailed to the new address; all logins continue."""

    @extend_schema(request=EmailChangeConfirmSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        data = validate(EmailChangeConfirmSerializer(data=request.data))
        services.confirm_email_change(secret=data["token"])
        return Response(status=204)


class PasswordChangeView(APIView):
    """Change the password; all other logins end."""

    max_body_bytes = SIGN_IN_MAX_BODY_BYTES

    @extend_schema(request=PasswordChangeSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        serializer = PasswordChangeSerializer(data=request.data, context={"request": request})
        user: Any = request.user
        services.change_password(
            user, **validate(serializer), by=user, keep_login=get_current_login(request)
        )
        return Response(status=204)


class PasswordResetView(PublicAuthView):
    """Request a mail with a link to choose a password; unknown addresses get the same response."""

    @extend_schema(request=PasswordResetSerializer, responses={202: MessageSerializer})
    def post(self, request: Request) -> Response:
        PasswordReset.objects.enqueue(**validate(PasswordResetSerializer(data=request.data)))
        return Response(
            {"detail": "If this address is known, a mail with a link will be sent."}, status=202
        )


class PasswordResetConfirmView(PublicAuthView):
    """Choose a password with the code that was mailed; all logins end."""

    @extend_schema(request=PasswordResetConfirmSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        services.reset_password(**validate(PasswordResetConfirmSerializer(data=request.data)))
        return Response(status=204)


def get_current_login(request: Request) -> Login | None:
    """Return the login of the access token; None for a session of the admin site."""
    token: Any = request.auth
    return token and Login.objects.visible_to(request.user).filter(pk=token["sid"]).first()


def build_token_response(login: Login) -> dict[str, Any]:
    """Return the response to a login: both tokens and the user."""
    return {
        "access_token": str(AccessToken.for_login(login)),
        "refresh_token": str(RefreshToken.for_login(login)),
        "token_type": "bearer",
        "expires_in": int(settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds()),
        "user": UserSerializer(login.user).data,
    }
