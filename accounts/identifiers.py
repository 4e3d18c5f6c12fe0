"""Normal forms of emails, usernames and passwords, which can be typed in several spellings."""

import re
import unicodedata
from collections.abc import Callable

import idna
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, RegexValidator

# The four characters that IDNA 2003 replaced or removed and IDNA 2008 keeps (UTS 46, section 2).
IDNA2003_DEVIATIONS = str.maketrans({"ß": "ss", "ς": "σ", "\u200c": "", "\u200d": ""})

MAX_USERNAME_CHARS = 150
MAX_IDENTIFIER_CHARS = 254
MAX_NAME_CHARS = 200
MAX_PASSWORD_CHARS = 1024
# Leaves room for the number that `generate_username` may append.
MAX_USERNAME_BASE_CHARS = MAX_USERNAME_CHARS - 10


class NewEmailValidator(EmailValidator):
    """Accepts `name@domain.tld` of ASCII characters, as `normalize_email` returns it.

    Django also accepts quoted names, address literals, `localhost`, labels such as `xn--zzz` that
    IDNA 2008 can't decode, and by its flag `IGNORECASE` letters that only resemble ASCII, such as
    the dotless i.
    """

    user_regex = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{}|~-]+(\.[a-z0-9!#$%&'*+/=?^_`{}|~-]+)*\Z")
    domain_regex = re.compile(
        r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9-]{2,63}(?<!-)\Z"
    )
    literal_regex = re.compile(r"(?!)")  # never matches

    def __init__(self) -> None:
        super().__init__(allowlist=[])

    def validate_domain_part(self, domain_part: str) -> bool:
        return super().validate_domain_part(domain_part) and _is_decodable(domain_part)


def _is_decodable(domain: str) -> bool:
    try:
        return bool(idna.decode(domain))
    except (idna.IDNAError, UnicodeError):
        return False


validate_new_email = NewEmailValidator()
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
    """Return the email in NFKC and lower case, with an ASCII domain by IDNA 2008 (UTS 46).

    Raises Django's `ValidationError` if the domain has no ASCII form or the text is too long.
    """
    local, at, domain = _normalize_nfkc(email).rpartition("@")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True).decode()
        except (idna.IDNAError, UnicodeError):
            raise ValidationError("Enter a valid email address.", code="invalid") from None
    return f"{local}{at}{domain}".lower()


def get_idna2003_form(email: str) -> str | None:
    """Return the form in which release 1.0 stored a normalized email, if that is another one.

    Its domain had `ss` for `ß`: then the account is found, and mails go where they always went.
    """
    local, _, domain = email.rpartition("@")
    try:
        readable = idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return None
    old_domain = readable.translate(IDNA2003_DEVIATIONS)
    return None if old_domain == readable else normalize_email(f"{local}@{old_domain}")


def normalize_username(username: str) -> str:
    """Return the username in NFKC. Raises Django's `ValidationError` if it is too long."""
    return _normalize_nfkc(username)


def normalize_password(password: str) -> str:
    """Return the password in NFKC, as NIST SP 800-63B advises.

    So it does not matter whether a keyboard sends `é` as one character or as two. A longer text
    than a password can be is returned as it is, for the reason in `_normalize_nfkc`.
    """
    if len(password) > MAX_PASSWORD_CHARS:
        return password
    return unicodedata.normalize("NFKC", password)


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
