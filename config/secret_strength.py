"""Which secrets production refuses."""

import re

from django.contrib.auth.password_validation import CommonPasswordValidator

MIN_KEY_LENGTH = 32
MIN_TOKEN_LENGTH = 16
MIN_PASSWORD_LENGTH = 10
PLACEHOLDER = re.compile(r"change|your[-_ ]|secret[-_ ]?key|insecure|example|password", re.I)


def is_weak_key(key: str, *, min_length: int = MIN_KEY_LENGTH) -> bool:
    return len(key) < min_length or len(set(key)) < 8 or bool(PLACEHOLDER.search(key))


def is_weak_password(password: str, *, email: str) -> bool:
    """Return whether a password is short, common, a number or the address it belongs to."""
    # Validators are not called: their messages need Django's apps, which are not loaded yet.
    is_common = password.lower().strip() in CommonPasswordValidator().passwords
    is_address = password.lower() in (email.lower(), email.lower().partition("@")[0])
    return is_common or is_address or password.isdigit() or len(password) < MIN_PASSWORD_LENGTH
