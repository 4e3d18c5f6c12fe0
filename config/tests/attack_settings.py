"""Every hostile value of every setting stops the start with sentences, never with a traceback."""

from typing import Any

import pytest

from config.environment import Environment

ALL_SETTINGS = sorted(name.upper() for name in Environment.model_fields)
HOSTILE_VALUES = [
    "-1",
    "0",
    "1e999",
    "9" * 40,
    "nan",
    "x",
    "{",
    "[",
    "[1, {}]",
    '{"a": 1}',
    "null",
    "://",
    "http://",
    "http://[",
    "http://a:99999999",
    "a b\tc",
    "ä😀",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
    "/dev/null",
    "%",
    "$HOME",
    ",,",
    "*",
]


@pytest.mark.parametrize("name", ALL_SETTINGS)
def test_a_hostile_value_works_or_is_refused_with_sentences(environment: Any, name: str) -> None:
    for value in HOSTILE_VALUES:
        try:
            environment(**{"DEBUG": "true", name: value})
        except SystemExit as refusal:
            lines = str(refusal).splitlines()
            assert lines[0] == "Bureau can't start."
            assert all(line.startswith("- ") for line in lines[1:]), lines
            assert len(lines) > 1
