"""Parts of error messages: what a client sent, shortened, and the name that it may have meant."""

from collections.abc import Iterable

from rapidfuzz.process import extractOne

MAX_SHOWN_CHARS = 100
# Messages with a short value are shorter than this.
MAX_MESSAGE_CHARS = 300
SHOWN_START_CHARS, SHOWN_END_CHARS = 60, 40


def shorten(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """Return the first characters of a name or value."""
    return text if len(text) <= max_chars else text[:max_chars] + "…"


def shorten_message(text: str) -> str:
    """Return the start and the end of a message that is long because of a value in it."""
    if len(text) <= MAX_MESSAGE_CHARS:
        return text
    return f"{text[:SHOWN_START_CHARS]}…{text[-SHOWN_END_CHARS:]}"


def find_nearest(name: str, known: Iterable[str], *, min_similarity: float = 0) -> str | None:
    """Return the known name that is most similar (0 to 100) to `name`, or None."""
    match = extractOne(
        shorten(name), sorted(known), processor=str.lower, score_cutoff=min_similarity
    )
    return match[0] if match else None
