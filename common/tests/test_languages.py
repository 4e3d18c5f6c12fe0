"""Detecting languages and normalising their names."""

import pytest

from common.ai.text.languages import (
    detect_language,
    is_in_language,
    language_code,
    normalize_language,
)
from common.tests.support.texts import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_the_language_of_a_text_is_detected(name):
    assert detect_language(SAMPLES[name]) == language_code(name)
    assert is_in_language(SAMPLES[name], name)


@pytest.mark.parametrize(
    ("language", "spelling"),
    [
        ("", ""),
        ("en", "English"),
        ("FRANÇAIS", "French"),
        ("pt-BR", "pt-BR"),
        ("Norwegian  (Bokmål)", "Norwegian (Bokmål)"),
    ],
)
def test_a_language_has_one_spelling(language, spelling):
    assert normalize_language(language) == spelling


@pytest.mark.parametrize("text", ["", "😀", "Ok", "12 345", "Xyzzy plugh"])
def test_the_language_of_a_few_words_is_unknown(text):
    assert detect_language(text) == ""
    assert is_in_language(text, "Spanish")
    assert not is_in_language(text, "Chinese")
