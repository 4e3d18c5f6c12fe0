"""One spelling for each email and username, so that two people can't share what looks the same."""

import re
import unicodedata
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

USERNAME_LENGTH = 150
LONGEST = 254

validate_username = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._+-]*\Z",
    "A username holds letters a to z, digits and . _ + - and begins with a letter or digit.",
)


validate_one_line = RegexValidator(
    r"[\x00-\x1f\x7f\u2028\u2029]", "A name holds no line breaks.", inverse_match=True
)


def normalize_email(email: str) -> str:
    """Lower case, compatibility characters unified, the domain in its ASCII form.

    Raises Django's `ValidationError` for a domain that has no ASCII form, and for any text that
    is longer than an address can be.
    """
    local, at, domain = _unified(email).rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValidationError("Enter a valid email address.", code="invalid") from None
    return f"{local}{at}{ascii_domain}".lower()


def normalize_username(username: str) -> str:
    """Compatibility characters unified. Raises Django's `ValidationError` for a long text."""
    return _unified(username)


def _unified(text: str) -> str:
    # Unifying takes quadratic time for long runs of accents, so length comes first.
    if len(text) > LONGEST:
        raise ValidationError(f"At most {LONGEST} characters are expected.", code="max_length")
    return unicodedata.normalize("NFKC", text).strip()


def canonical_identifier(identifier: str) -> str:
    """An email or a username as it is looked up at login; also of what is neither."""
    try:
        found = normalize_email if "@" in identifier else normalize_username
        return found(identifier).lower()
    except ValidationError:
        return identifier[:LONGEST].lower()


def username_from_email(email: str, *, is_taken: Callable[[str], bool]) -> str:
    """A free username made of the part before the `@`; a number is added where it is taken."""
    base = re.sub(r"[^a-z0-9._+-]+", "-", email.partition("@")[0].lower()).strip("._+-") or "user"
    candidate, number = base[: USERNAME_LENGTH - 10], 1
    while is_taken(candidate):
        number += 1
        candidate = f"{base[: USERNAME_LENGTH - 10]}-{number}"
    return candidate
