"""Unicode normalization: one text in two spellings, composed (NFC) or decomposed (NFD).

macOS decomposes `ü` to `u` and a mark; other systems and most keyboards compose it (ADR 29).
"""

import unicodedata
from typing import Any

from django.db import models

# Normalizing takes quadratic time for long runs of marks.
MAX_NORMALIZED_CHARS = 1000


def to_nfc(text: str) -> str:
    """Return the text in NFC; a text over `MAX_NORMALIZED_CHARS` is returned unchanged."""
    return text if len(text) > MAX_NORMALIZED_CHARS else unicodedata.normalize("NFC", text)


def get_spellings(text: str) -> set[str]:
    """Return the text as it is, in NFC and in NFD; most texts have only one spelling."""
    if text.isascii() or len(text) > MAX_NORMALIZED_CHARS:
        return {text}
    return {text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)}


class NfcCharField(models.CharField):
    """A short text that is stored in NFC, so that an index finds it in any spelling."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return to_nfc(value) if isinstance(value, str) else value
