"""Check passwords so that neither the response nor its time shows which accounts exist."""

from contextlib import AbstractContextManager, nullcontext

from django.contrib.auth.hashers import get_hasher, make_password
from django.http import HttpRequest

from accounts.hashing_slot import hashing_slot
from accounts.identifiers import normalize_identifier, normalize_password
from accounts.models import User
from common.ratelimit.throttles import SignInAttempt


def check_password(
    user: User | None, password: str, *, request: HttpRequest | None, identifier: str = ""
) -> bool:
    """Return whether the password is right and the user may sign in.

    A wrong password counts as a failed attempt for the user's id, or for the `identifier` that was
    entered if there is no such user. Raises `TooManyAttempts` after too many of them, and
    `ServiceUnavailable` if too many passwords are being checked at once.
    """
    account = str(user.pk) if user else normalize_identifier(identifier)
    candidate = user if user and user.can_sign_in else None
    # Only attempts in the slot are counted: few right ones at a time, which don't fill the limit.
    with hashing_slot(), _limit_attempts(request, account) as attempt:
        is_correct = candidate is not None and candidate.check_password(password)
        if not is_correct:
            _compute_other_hashes(candidate, password)
        if attempt:
            attempt.succeeded = is_correct
    return is_correct


def _limit_attempts(
    request: HttpRequest | None, account: str
) -> AbstractContextManager[SignInAttempt | None]:
    """Return the limit of an attempt; programs on this machine have no request and no limit."""
    return nullcontext() if request is None else SignInAttempt(request, account=account)


def _compute_other_hashes(candidate: User | None, password: str) -> None:
    """Compute the hashes that the check of another account would have computed.

    So each refusal costs an Argon2 hash and, while there are imported accounts, a bcrypt hash; both
    twice for a password that is not in its normal form, as `User.check_password` tries both forms.
    """
    for spelling in {password, normalize_password(password)}:
        _compute_other_hash(candidate, spelling)


def _compute_other_hash(candidate: User | None, password: str) -> None:
    bcrypt_hasher = get_hasher("bcrypt")
    if candidate is not None and candidate.has_imported_password:
        make_password(password)
        bcrypt_hasher.harden_runtime(password, candidate.password)
        return
    if candidate is None:
        make_password(password)
    if User.objects.with_imported_password().exists():
        bcrypt_hasher.encode(password, bcrypt_hasher.salt())
