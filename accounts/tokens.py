"""Access and refresh tokens, and what ties them to a login.

A refresh token holds its login's id and generation and nothing random, so that the successor
of a token can be given again to a client whose answer was lost, without being stored.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as BaseAccessToken
from rest_framework_simplejwt.tokens import Token

from accounts.models import Login, User
from common.ratelimit.addresses import client_address

GRACE = timedelta(seconds=10)


class RotatingBackend(TokenBackend):
    """Signs with `SECRET_KEY`; accepts what `SECRET_KEY_FALLBACKS` have signed."""

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        try:
            return super().decode(token, verify)
        except TokenBackendError:
            for key in settings.SECRET_KEY_FALLBACKS:
                try:
                    return _backend(key).decode(token, verify)
                except TokenBackendError:
                    continue
            raise


def _backend(key: str, kind: type[TokenBackend] = TokenBackend) -> TokenBackend:
    return kind("HS256", key, audience=api_settings.AUDIENCE, issuer=api_settings.ISSUER)


class LoginToken(Token):
    """A token of one login (`sid`) of one person (`sub`)."""

    _token_backend = _backend(settings.SECRET_KEY, RotatingBackend)

    def verify(self) -> None:
        super().verify()
        try:
            UUID(self["sid"]), UUID(self["sub"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TokenError("Token names no login") from None


class AccessToken(LoginToken, BaseAccessToken):
    """Says who asks (`sub`), by which login (`sid`), at which `token_version` (`ver`)."""

    @classmethod
    def for_login(cls, login: Login) -> "AccessToken":
        token = cls()
        token["sub"] = str(login.user_id)
        token["sid"] = str(login.pk)
        token["ver"] = login.user.token_version
        return token


class RefreshToken(LoginToken):
    token_type = "refresh"  # noqa: S105 - a name
    lifetime: timedelta = settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]

    @classmethod
    def for_login(cls, login: Login) -> "RefreshToken":
        """The token of the login's present generation, the same each time it is made."""
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


def start_login(user: User, request: HttpRequest) -> Login:
    """Open a login for a person who has proved who they are."""
    login = Login(
        user=user,
        rotated_at=timezone.now(),
        expires_at=timezone.now() + RefreshToken.lifetime,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", "").replace("\0", "")[:300],
    )
    login.save(force_insert=True)
    return login


def rotate(encoded: str) -> Login:
    """Spend a refresh token and return its login at the next generation.

    The one conditional UPDATE decides: of any number of parallel uses one starts a new
    generation. Within 10 s the others get that same generation again; later use of a spent
    token means that it was stolen, and ends the login. Raises simplejwt's `TokenError`.
    """
    token = RefreshToken(encoded)  # type: ignore[arg-type]
    generation = token.get("gen")
    login = Login.objects.open().filter(pk=token.get("sid"), user_id=token.get("sub"))
    spent = login.filter(generation=generation).update(
        generation=F("generation") + 1,
        rotated_at=Now(),
        expires_at=Now() + RefreshToken.lifetime,
        updated_at=Now(),
    )
    row = login.select_related("user__company").first()
    if row is None or not is_welcome(row.user):
        raise TokenError("This login has ended.")
    just_now = row.rotated_at > timezone.now() - GRACE
    if not spent and not (row.generation == generation + 1 and just_now):
        login.end()
        raise TokenError("This refresh token was used before; its login has ended.")
    return row


def is_welcome(user: User) -> bool:
    """Whether the account stands. An operator is not locked out with their company."""
    stands = user.is_active and user.deleted_at is None
    return stands and (user.company.is_active or user.is_superuser)
