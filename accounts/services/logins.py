from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import MAX_USER_AGENT_CHARS, Login, User
from accounts.tokens import ROTATION_GRACE_PERIOD, RefreshToken, parse_token
from common.events import record
from common.ratelimit.addresses import client_address


@transaction.atomic
def start_login(user: User, *, request: HttpRequest) -> Login:
    """Create a login for a user who has proved their identity."""
    user_agent = request.headers.get("User-Agent", "").replace("\0", "")
    login = Login(
        user=user,
        rotated_at=timezone.now(),
        expires_at=timezone.now() + RefreshToken.lifetime,
        ip_address=client_address(request),
        user_agent=user_agent[:MAX_USER_AGENT_CHARS],
    )
    login.save(force_insert=True)
    record("login.started", by=user, target=login)
    return login


def rotate_login(encoded: str) -> Login:
    """Exchange a refresh token for its login, which is then at the next generation.

    The UPDATE is conditional, so only one of parallel requests starts the next generation. Within
    `ROTATION_GRACE_PERIOD` the others get that generation too, so that a client can repeat a
    request whose response was lost. A used token that comes later was probably stolen: it ends the
    login. Raises simplejwt's `TokenError`.

    Not atomic, because the error must not roll back the end of the login.
    """
    token = parse_token(RefreshToken, encoded)
    generation = token.get("gen")
    rows = Login.objects.active().filter(pk=token.get("sid"), user_id=token.get("sub"))
    is_rotated = rows.filter(generation=generation).update(
        generation=F("generation") + 1,
        rotated_at=Now(),
        expires_at=Now() + RefreshToken.lifetime,
        updated_at=Now(),
    )
    login = rows.select_related("user__company").first()
    if login is None or not login.user.can_sign_in:
        raise TokenError("This login has ended.")
    if not is_rotated and not _is_repeated_request(login, generation):
        end_login(login, by=None)
        raise TokenError("This refresh token was used before, so its login has been ended.")
    return login


def _is_repeated_request(login: Login, generation: int) -> bool:
    is_recent = login.rotated_at > timezone.now() - ROTATION_GRACE_PERIOD
    return is_recent and login.generation == generation + 1


@transaction.atomic
def end_login(login: Login, *, by: User | None) -> None:
    """End one login; its tokens are refused from the next request on."""
    if Login.objects.filter(pk=login.pk).end():
        record("login.ended", by=by, target=login)


@transaction.atomic
def end_logins(user: User, *, by: User) -> int:
    """End all logins of a user and return their number; admin sessions continue."""
    count = user.logins.end()
    if count:
        record("user.logins_ended", by=by, target=user)
    return count


@transaction.atomic
def end_all_sessions(user: User, *, by: User) -> None:
    """End all logins of a user and their sessions in the admin site."""
    user.revoke_tokens()
    user.logins.end()
    record("user.sessions_ended", by=by, target=user)


def record_admin_session_start(*, user: User, **_: Any) -> None:
    """Record a sign-in to the admin site; Django sends a signal."""
    record("user.admin_session_started", by=user, target=user)


def record_admin_session_end(*, user: User | None, **_: Any) -> None:
    if user:
        record("user.admin_session_ended", by=user, target=user)
