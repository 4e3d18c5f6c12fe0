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

    def get_raw_token(self, header: bytes) -> bytes | None:
        """Accept the scheme in any letter case (RFC 9110, 11.1)."""
        scheme, _, rest = header.partition(b" ")
        return super().get_raw_token(scheme.capitalize() + b" " + rest)

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
