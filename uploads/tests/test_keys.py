import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploads.transfer import keys


@pytest.mark.parametrize(
    "key",
    ["a", "a/b.txt", "...", "..a/b..", "é/日本 x", "-/~", "a" * 255, "/".join(["a" * 63] * 16)],
)
def test_a_valid_key_is_returned_unchanged(key: str) -> None:
    assert keys.check_key(key) == key


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("/a", "slash"),
        ("a/", "empty segment"),
        ("a//b", "empty segment"),
        ("..", ".."),
        ("a/../b", ".."),
        ("./a", ".."),
        ("a/.", ".."),
        ("a\0b", "NUL"),
        ("a\nb", "line break"),
        ("a\x1bb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("a\\b", "backslash"),
        ("a\udc80", "UTF-8"),
        ("a" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["é" * 100] * 6), "1024 bytes"),
    ],
)
def test_an_invalid_key_is_rejected_with_the_reason(text: str, word: str) -> None:
    with pytest.raises(keys.InvalidKey, match=word):
        keys.check_key(text)


def test_a_prefix_may_be_empty_or_end_with_a_slash() -> None:
    assert (keys.check_prefix(""), keys.check_prefix("a/b/")) == ("", "a/b")
    for bad in ("/", "a//", "/a", "../"):
        with pytest.raises(keys.InvalidKey):
            keys.check_prefix(bad)


def test_empty_parts_are_left_out_of_a_joined_key() -> None:
    assert (keys.join("a/b", "c"), keys.join("", "c")) == ("a/b/c", "c")


@given(st.binary(), st.binary())
def test_escaped_names_are_one_line_of_utf_8_and_equal_only_for_equal_names(
    first: bytes, second: bytes
) -> None:
    one, other = (
        keys.escape_name(name.decode("utf-8", "surrogateescape")) for name in (first, second)
    )
    assert len(one.encode().splitlines()) <= 1
    assert "\0" not in one
    assert (one == other) == (first == second)


def test_a_placeholder_key_is_invalid_and_fits_into_the_column() -> None:
    shown = keys.placeholder_key("p", keys.escape_name("é\udcff" * 600))
    assert len(shown.encode()) <= keys.MAX_KEY_BYTES
    assert keys.key_problem(shown)
    assert shown != keys.placeholder_key("p", keys.escape_name("é\udcff" * 601))
