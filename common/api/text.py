"""Shorten what a client sent before an error message shows it again."""

MAX_SHOWN_CHARS = 100
# Messages with a short value are shorter than this.
MAX_MESSAGE_CHARS = 300
SHOWN_START_CHARS, SHOWN_END_CHARS = 60, 40


def shorten(text: str) -> str:
    """Return the first `MAX_SHOWN_CHARS` characters of a name or value."""
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


def shorten_message(text: str) -> str:
    """Return the start and the end of a message that is long because of a value in it."""
    if len(text) <= MAX_MESSAGE_CHARS:
        return text
    return f"{text[:SHOWN_START_CHARS]}…{text[-SHOWN_END_CHARS:]}"
