"""Access tokens and refresh tokens, both bound to a login.

A refresh token contains its login's id and generation and no random value. So a client whose
response was lost can get the same token again, although it is not stored.
"""

from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as BaseAccessToken
from rest_framework_simplejwt.tokens import Token

from accounts.models import Login

ROTATION_GRACE_PERIOD = timedelta(seconds=10)


class KeyRotationBackend(TokenBackend):
    """Token backend that signs with `SECRET_KEY` and also accepts `SECRET_KEY_FALLBACKS`."""

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        try:
            return super().decode(token, verify)
        except TokenBackendError:
            for key in settings.SECRET_KEY_FALLBACKS:
                try:
                    return _build_backend(TokenBackend, key).decode(token, verify)
                except TokenBackendError:
                    continue
            raise


def _build_backend(backend_class: type[TokenBackend], key: str) -> TokenBackend:
    return backend_class("HS256", key, audience=api_settings.AUDIENCE, issuer=api_settings.ISSUER)


class LoginToken(Token):
    """A token of one login (`sid`) of one user (`sub`)."""

    _token_backend = _build_backend(KeyRotationBackend, settings.SECRET_KEY)

    def verify(self) -> None:
        super().verify()
        try:
            UUID(self["sid"]), UUID(self["sub"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TokenError("Token contains no login id") from None


class AccessToken(LoginToken, BaseAccessToken):
    """Token that contains the user (`sub`), the login (`sid`) and `token_version` (`ver`)."""

    @classmethod
    def for_login(cls, login: Login) -> "AccessToken":
        token = cls()
        token["sub"] = str(login.user_id)
        token["sid"] = str(login.pk)
        token["ver"] = login.user.token_version
        return token


T = TypeVar("T", bound=Token)


def parse_token(token_class: type[T], encoded: Any) -> T:
    """Return the verified token; raise `TokenError`, whose message is a sentence for people."""
    try:
        return token_class(encoded)
    except TokenError:
        raise
    except Exception:  # a forged token can raise anything in the parsers
        raise TokenError("Token is invalid") from None


class RefreshToken(LoginToken):
    token_type = "refresh"  # noqa: S105 - a name
    lifetime: timedelta = settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]

    @classmethod
    def for_login(cls, login: Login) -> "RefreshToken":
        """Return the token of the login's current generation; equal for each call."""
        token = cls()
        token.payload = {
            "type": cls.token_type,
            "sub": str(login.user_id),
            "sid": str(login.pk),
            "gen": login.generation,
            "jti": f"{login.pk}.{login.generation}",
            "iat": int(login.rotated_at.timestamp()),
            "exp": int(login.expires_at.timestamp()),
        }
        return token
