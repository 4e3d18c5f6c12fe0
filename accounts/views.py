"""The routes of signing up, in and out, and of one's own account."""

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
from rest_framework.serializers import Serializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError

from accounts import services
from accounts.identifiers import canonical_identifier
from accounts.models import Login, PasswordReset, User
from accounts.permissions import OwnRowsOnly
from accounts.serializers import (
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
from accounts.tokens import AccessToken, RefreshToken, rotate, start_login
from accounts.viewsets import PublicView, ScopedViewSet
from common.api.idempotency import idempotent
from common.ratelimit.throttles import (
    AccountThrottle,
    AuthThrottle,
    get_first_value,
    remember_address,
)


class EntranceView(PublicView):
    """A way in, and so what guessers try: limited for each address and each account.

    Which account a request tries is told by a name that is looked up as the view itself would
    look it up, whether it is known or not.
    """

    throttle_classes = (AuthThrottle,)
    account_fields: tuple[str, ...] = ("email",)

    def get_throttled_account(self, request: Request) -> str:
        """The account in its one spelling; "" where the request names none."""
        return canonical_identifier(get_first_value(request, *self.account_fields))


class SignupView(EntranceView):
    """Create an account. What an uninvited sign-up gets depends on the setting `SIGNUP`."""

    problem_statuses = (403,)

    @extend_schema(request=SignupSerializer, responses={201: UserSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        user = services.sign_up(**validated(SignupSerializer(data=request.data)))
        return Response(UserSerializer(user).data, status=201)


class LoginView(EntranceView):
    """Sign in with a username or an email and a password, as a form or as JSON."""

    account_fields = ("username", "email")
    problem_statuses = (401,)

    @extend_schema(request=LoginSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        data = validated(LoginSerializer(data=request.data))
        user = authenticate(request, username=data["identifier"], password=data["password"])
        if not isinstance(user, User):
            raise AuthenticationFailed(
                "No active account has this name and password.", code="invalid_credentials"
            )
        update_last_login(None, user)  # type: ignore[arg-type]
        remember_address(request, self.get_throttled_account(request))
        return Response(token_pair(start_login(user, request)))


class RefreshView(EntranceView):
    """Spend a refresh token for a new pair of tokens."""

    problem_statuses = (401,)

    def get_throttled_account(self, request: Request) -> str:
        """The login that a token of ours names; "" for one that we have not signed."""
        encoded: Any = get_first_value(request, "refresh_token")
        try:
            return str(RefreshToken(encoded)["sid"])
        except (TokenError, UnicodeError):
            return ""

    def get_throttles(self) -> list[BaseThrottle]:
        """A token that we have signed was not guessed, and the tabs of a browser may share it."""
        is_ours = self.get_throttled_account(self.request)  # type: ignore[arg-type]
        return [AccountThrottle() if is_ours else AuthThrottle()]

    @extend_schema(request=RefreshSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        data = validated(RefreshSerializer(data=request.data))
        try:
            login = rotate(data["refresh_token"])
        except (TokenError, UnicodeError) as error:
            raise AuthenticationFailed(str(error), code="invalid_token") from None
        return Response(token_pair(login))


class LogoutView(APIView):
    """End the login that the access token belongs to."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        if login := current_login(request):
            Login.objects.filter(pk=login.pk).end()
        return Response(status=204)


class LoginViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """The person's own open logins."""

    queryset = Login.objects.open()
    serializer_class = LoginRowSerializer
    permission_classes = (OwnRowsOnly,)
    ordering_fields = ("created_at", "rotated_at", "expires_at")
    ordering = "-id"

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.open()

    def destroy(self, request: Request, pk: str) -> Response:
        """End one login."""
        Login.objects.filter(pk=self.get_object().pk).end()
        return Response(status=204)

    @extend_schema(responses={204: None}, operation_id="auth_sessions_destroy_all")
    def destroy_all(self, request: Request) -> Response:
        """End all of one's logins, this one included."""
        services.end_all_logins(request.user)  # type: ignore[arg-type]
        return Response(status=204)


class MeView(RetrieveUpdateAPIView):
    """The person who asks."""

    serializer_class = ProfileSerializer

    def get_object(self) -> Any:
        return self.request.user

    def put(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.partial_update(request, *args, **kwargs)


class PasswordChangeView(APIView):
    """Set another password; all other logins end."""

    throttle_classes = (AuthThrottle,)

    def get_throttled_account(self, request: Request) -> str:
        """Who has stolen a token may not guess the password with it."""
        return str(request.user.pk)

    @extend_schema(request=PasswordChangeSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        serializer = PasswordChangeSerializer(data=request.data, context={"request": request})
        user: Any = request.user
        services.set_password(user, **validated(serializer), by=user, keep=current_login(request))
        return Response(status=204)


class PasswordResetView(EntranceView):
    """Have a link mailed by which to choose a password; the answer says not if anybody gets it."""

    @extend_schema(request=PasswordResetSerializer, responses={202: MessageSerializer})
    def post(self, request: Request) -> Response:
        PasswordReset.objects.enqueue(**validated(PasswordResetSerializer(data=request.data)))
        return Response({"detail": "If this address is known, a mail is on its way."}, status=202)


class PasswordResetConfirmView(EntranceView):
    """Choose a password by the code that was mailed; all logins end."""

    @extend_schema(request=PasswordResetConfirmSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        services.redeem_password_reset(
            **validated(PasswordResetConfirmSerializer(data=request.data))
        )
        return Response(status=204)


def validated(serializer: Serializer) -> Any:
    """The serializer's data, or its complaints as a 400."""
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def current_login(request: Request) -> Login | None:
    """The login of the access token; none where the person came by the admin's session."""
    token: Any = request.auth
    return token and Login.objects.visible_to(request.user).filter(pk=token["sid"]).first()


def token_pair(login: Login) -> dict[str, Any]:
    """The answer to a login: both tokens, and the person they stand for."""
    return {
        "access_token": str(AccessToken.for_login(login)),
        "refresh_token": str(RefreshToken.for_login(login)),
        "token_type": "bearer",
        "expires_in": int(settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds()),
        "user": UserSerializer(login.user).data,
    }
