from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError

from accounts import services
from accounts.api import PublicView
from accounts.models import Login, User
from accounts.serializers import (
    LoginSerializer,
    ProfileSerializer,
    RefreshSerializer,
    SignupSerializer,
    TokenPairSerializer,
    UserSerializer,
)
from accounts.tokens import AccessToken, RefreshToken, rotate, start_login
from common.api.idempotency import idempotent


class SignupView(PublicView):
    """Create an account. What an uninvited sign-up gets depends on the setting `SIGNUP`."""

    @extend_schema(request=SignupSerializer, responses={201: UserSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        serializer = SignupSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = services.sign_up(**serializer.validated_data)
        return Response(UserSerializer(user).data, status=201)


class LoginView(PublicView):
    """Sign in with a username or an email and a password, as a form or as JSON."""

    @extend_schema(request=LoginSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        user = authenticate(request, username=given["identifier"], password=given["password"])
        if not isinstance(user, User):
            raise AuthenticationFailed(
                "No active account has this name and password.", code="invalid_credentials"
            )
        update_last_login(None, user)  # type: ignore[arg-type]
        return Response(token_pair(start_login(user, request)))


class RefreshView(PublicView):
    """Spend a refresh token for a new pair of tokens."""

    @extend_schema(request=RefreshSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        serializer = RefreshSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            login = rotate(serializer.validated_data["refresh_token"])
        except TokenError as error:
            raise AuthenticationFailed(str(error), code="invalid_token") from None
        return Response(token_pair(login))


class LogoutView(APIView):
    """End the login that the access token belongs to."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        token: Any = request.auth
        if token is not None:
            Login.objects.visible_to(request.user).filter(pk=token["sid"]).end()
        return Response(status=204)


class MeView(RetrieveUpdateAPIView):
    """The person who asks."""

    serializer_class = ProfileSerializer

    def get_object(self) -> Any:
        return self.request.user

    def put(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.partial_update(request, *args, **kwargs)


def token_pair(login: Login) -> dict[str, Any]:
    """The answer to a login: both tokens, and the person they stand for."""
    return {
        "access_token": str(AccessToken.for_login(login)),
        "refresh_token": str(RefreshToken.for_login(login)),
        "token_type": "bearer",
        "expires_in": int(settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds()),
        "user": UserSerializer(login.user).data,
    }
