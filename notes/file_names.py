"""Names of uploaded files, as they are shown; they are never used as paths."""

import re
from unicodedata import category
from urllib.parse import unquote

from common.normalization import to_nfc

MAX_FILE_NAME_CHARS = 255
ALLOWED_CHARS = " .()+,;@&'-_"
# Letters, marks and digits of all scripts.
ALLOWED_CATEGORIES = ("L", "M", "N")
PERCENT_ENCODED = re.compile(r"(?:%[89a-f][0-9a-f])+", re.IGNORECASE)


def clean_file_name(name: str) -> str:
    """Return a file's name without unusual characters, in NFC."""
    name = to_nfc(PERCENT_ENCODED.sub(_decode, name))
    return "".join(c if _is_allowed(c) else "_" for c in name)[:MAX_FILE_NAME_CHARS]


def _decode(encoded: re.Match[str]) -> str:
    """Decode characters that a client has percent-encoded (RFC 7578), if they are in UTF-8."""
    try:
        return unquote(encoded[0], errors="strict")
    except UnicodeDecodeError:
        return encoded[0]


def _is_allowed(char: str) -> bool:
    return char in ALLOWED_CHARS or category(char).startswith(ALLOWED_CATEGORIES)
