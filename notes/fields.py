import re
from typing import Any
from unicodedata import category

from django.db import models
from rest_framework import serializers

LONGEST_LANGUAGE = 40  # characters
_word = r"['’]?[^\W\d_](?:[^\W\d_]|['’])*"
# Up to four words; after a hyphen a number may stand for one, as in es-419.
_language = re.compile(rf"[(（]?{_word}(?:[ ()（）-]+{_word}|-[0-9]{{3,4}}){{0,3}}[)）]?")


def validate_language(name: str) -> None:
    """It stands among the model's instructions, so there is no room for a sentence of others."""
    if len(name) > LONGEST_LANGUAGE:
        return  # refused for that
    bare = "".join(letter for letter in name if not category(letter).startswith("M"))
    if not _language.fullmatch(bare):
        raise serializers.ValidationError(
            "Give a language's name or code, such as German or pt-BR: at most four words, of "
            "letters, hyphens, apostrophes and round brackets.",
            code="invalid",
        )


class StringField(serializers.CharField):
    """A string, and no number that would be read as one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StringFieldsMixin:
    """A model's serializer whose strings are no numbers."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: StringField,
        models.TextField: StringField,
    }


class TextField(StringField):
    """A text to summarise, kept to the letter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        text = super().run_validation(data)
        if isinstance(text, str) and not text.strip():
            self.fail("blank")
        return text


class LanguageField(serializers.CharField):
    """A language's name or code; "" for the text's own, which `null` means too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=LONGEST_LANGUAGE,
            allow_blank=True,
            allow_null=True,
            validators=[validate_language],
            **options,
        )

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(data) or ""
