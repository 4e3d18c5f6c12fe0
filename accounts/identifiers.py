"""Normal forms of emails and usernames, so that one name in two spellings is one account."""

import re
import unicodedata
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

MAX_USERNAME_CHARS = 150
MAX_IDENTIFIER_CHARS = 254
MAX_NAME_CHARS = 200
# Leaves room for the number that `generate_username` may append.
MAX_USERNAME_BASE_CHARS = MAX_USERNAME_CHARS - 10

validate_username = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._+-]*\Z",
    "A username can contain the letters a to z, digits and . _ + -, and must start with a letter "
    "or a digit.",
)
validate_one_line = RegexValidator(
    r"[\x00-\x1f\x7f\u2028\u2029]",
    "A name can't contain line breaks or other control characters.",
    inverse_match=True,
)


def normalize_email(email: str) -> str:
    """Return the email in NFKC and lower case, with an ASCII domain.

    Raises Django's `ValidationError` if the domain has no ASCII form or the text is too long.
    """
    local, at, domain = _normalize_nfkc(email).rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValidationError("Enter a valid email address.", code="invalid") from None
    return f"{local}{at}{ascii_domain}".lower()


def normalize_username(username: str) -> str:
    """Return the username in NFKC. Raises Django's `ValidationError` if it is too long."""
    return _normalize_nfkc(username)


def _normalize_nfkc(text: str) -> str:
    # NFKC takes quadratic time for long runs of accents, so check the length first.
    if len(text) > MAX_IDENTIFIER_CHARS:
        message = f"At most {MAX_IDENTIFIER_CHARS} characters are allowed."
        raise ValidationError(message, code="max_length")
    return unicodedata.normalize("NFKC", text).strip()


def normalize_identifier(identifier: str) -> str:
    """Return the form by which a login looks up an email or username; never raises."""
    try:
        normalize = normalize_email if "@" in identifier else normalize_username
        return normalize(identifier).lower()
    except ValidationError:
        return identifier[:MAX_IDENTIFIER_CHARS].lower()


def generate_username(email: str, *, is_taken: Callable[[str], bool]) -> str:
    """Return the part of the email before the `@`, followed by a number if that is taken."""
    local = re.sub(r"[^a-z0-9._+-]+", "-", email.partition("@")[0].lower()).strip("._+-")
    base = (local or "user")[:MAX_USERNAME_BASE_CHARS]
    candidate, number = base, 1
    while is_taken(candidate):
        number += 1
        candidate = f"{base}-{number}"
    return candidate
