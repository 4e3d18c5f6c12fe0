import re
from unicodedata import category
from uuid import UUID

from django.core.exceptions import ValidationError

from common.ai.templates import TEMPLATES

MAX_LANGUAGE_CHARS = 40
_WORD = r"['’]?[^\W\d_](?:[^\W\d_]|['’])*"
# Up to four words. After a hyphen a number may replace a word, as in es-419.
_LANGUAGE = re.compile(rf"[(（]?{_WORD}(?:[ ()（）-]+{_WORD}|-[0-9]{{3,4}}){{0,3}}[)）]?")


def is_uuid(value: str) -> bool:
    """Return whether `value` is a UUID in any spelling that a lookup by id accepts."""
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def validate_template_name(name: str) -> None:
    """Reject the names of built-in templates, and names that could be another template's id."""
    if name.strip().lower() in TEMPLATES:
        raise ValidationError(
            "This is the name of a built-in template. Choose another name.", code="unique"
        )
    if is_uuid(name):
        raise ValidationError(
            "A name can't be a UUID, because templates are also found by their id.", code="invalid"
        )


def validate_language(name: str) -> None:
    """Reject everything but a language's name or code.

    The value becomes part of the prompt, so it must be too short for an instruction.
    """
    if len(name) > MAX_LANGUAGE_CHARS:
        return  # The field's `max_length` reports this.
    without_marks = "".join(char for char in name if not category(char).startswith("M"))
    if not _LANGUAGE.fullmatch(without_marks):
        raise ValidationError(
            "Enter a language's name or code, such as German or pt-BR: at most four words, made "
            "of letters, hyphens, apostrophes and round brackets.",
            code="invalid",
        )
