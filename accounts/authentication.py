from typing import Any

from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token
from structlog.contextvars import bind_contextvars

from accounts.models import Login, User
from accounts.tokens import AccessToken, parse_token


class InvalidToken(AuthenticationFailed):
    """Error for a token that is invalid, expired or revoked."""

    default_code = "invalid_token"


class AccessTokenAuthentication(JWTAuthentication):
    """Authentication by access token; one query checks the login and the account."""

    www_authenticate_realm = "bureau"

    def get_header(self, request: Request) -> bytes | None:
        header: str | None = request.META.get("HTTP_AUTHORIZATION")
        return None if header is None else header.encode("latin-1", "replace")

    def get_raw_token(self, header: bytes) -> bytes:
        """Return the token; the scheme has any letter case (RFC 9110, 11.1)."""
        scheme, *tokens = header.split() or [b""]
        if scheme.lower() != b"bearer":
            raise InvalidToken("Use the scheme Bearer: `Authorization: Bearer <access token>`.")
        if not tokens:
            raise InvalidToken("The Authorization header contains no token after `Bearer`.")
        if len(tokens) > 1:
            raise InvalidToken("The Authorization header contains more than one token.")
        return tokens[0]

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return parse_token(AccessToken, raw_token)
        except TokenError as error:
            raise InvalidToken(f"{error}.") from None

    def get_user(self, validated_token: Token) -> Any:
        """Return the token's user with `user.company` loaded; raise `InvalidToken`."""
        return load_user(validated_token)

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        result: tuple[Any, Token] | None = super().authenticate(request)
        if result is not None:
            user, _ = result
            bind_contextvars(user=str(user.pk), company=str(user.company_id))
        return result


def load_user(token: Token) -> User:
    """Load the user of a verified token with one query; check login and token version."""
    logins = Login.objects.active().select_related("user__company")
    login = logins.filter(pk=token.get("sid"), user_id=token.get("sub")).first()
    if login is None or not login.user.can_sign_in:
        raise InvalidToken("The login of this token has ended.")
    if login.user.token_version != token.get("ver"):
        raise InvalidToken("This token was revoked.")
    return login.user
