"""Split long texts into chunks that fit a model's context, and estimate tokens.

The chunks, joined, are the text again. Tokens are estimated because each provider has its own
tokenizer, whose tables would have to be downloaded. The estimate is rather too high than too low:
`test_ai_chunks.py` compares it with counts of cl100k_base, which needs the most tokens of the
widely used vocabularies.
"""

import math
import re
from collections.abc import Iterator

from common.ai.text.abbreviations import is_mid_sentence
from common.ai.text.sentences import TOKENIZER_WINDOW_CHARS, find_grapheme_boundary

MIN_CHUNK_TOKENS = 16  # well above the tokens of any single character

# Hundredths of a token per character, by its first byte in UTF-8. Letters of common words share a
# token; digits, capitals and signs hardly do; rare scripts need nearly a token for each byte.
_SPACE, _LOWERCASE, _OTHER_ASCII, _TWO_BYTES, _THREE_BYTES, _RARE, _FOUR_BYTES = range(1, 8)
_TOKEN_HUNDREDTHS = {
    _SPACE: 10,
    _LOWERCASE: 40,
    _OTHER_ASCII: 100,
    _TWO_BYTES: 120,
    _THREE_BYTES: 160,
    _RARE: 280,
    _FOUR_BYTES: 300,
}
_CONTINUATION = 0  # the class of a byte that continues a character


def _build_byte_classes() -> bytes:
    """Return the table from each byte to the class of the character it starts."""
    table = bytearray([_OTHER_ASCII]) * 256
    table[ord(" ")] = _SPACE
    table[ord("a") : ord("z") + 1] = bytes([_LOWERCASE]) * 26
    table[0x80:0xC0] = bytes([_CONTINUATION]) * 0x40
    table[0xC0:0xE0] = bytes([_TWO_BYTES]) * 0x20
    table[0xE0:0xF0] = bytes([_THREE_BYTES]) * 0x10
    table[0xF0:] = bytes([_FOUR_BYTES]) * 0x10
    table[0xCC] = _RARE  # combining marks
    table[0xE1:0xE3] = bytes([_RARE]) * 2  # Ethiopic, Georgian, Khmer, mathematical signs
    return bytes(table)


_BYTE_CLASSES = _build_byte_classes()
_paragraph_end = re.compile(r"\n\s*\n\s*")
# Full stops that nupunkt does not know (Chinese, Arabic, Hindi), with closing quotation marks.
_full_stop = re.compile(
    "[\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964]+[\u300d\u300f\u201d\u2019\uff09\"')]*\\s*"
)


def estimate_tokens(text: str) -> int:
    """Return an upper estimate of the tokens of `text`.

    For prose it is 1.2 to 2 times the real count.
    """
    classes = text.encode("utf-8", "surrogatepass").translate(_BYTE_CLASSES)
    hundredths = sum(classes.count(c) * tokens for c, tokens in _TOKEN_HUNDREDTHS.items())
    return math.ceil(hundredths / 100)


def split_chunks(text: str, max_tokens: int) -> Iterator[str]:
    """Yield `text` in order, in chunks of at most `max_tokens` estimated tokens.

    A chunk ends after a paragraph, else after a sentence, a line or a word. If its second half
    contains none of these, it ends between two characters. Raises ValueError for a `max_tokens`
    below `MIN_CHUNK_TOKENS`.
    """
    if max_tokens < MIN_CHUNK_TOKENS:
        raise ValueError(f"max_tokens must be at least {MIN_CHUNK_TOKENS}")
    start = 0
    while start < len(text):
        end = _find_max_end(text, start, max_tokens)
        if end < len(text):
            end = _find_best_end(text, start, end)
        yield text[start:end]
        start = end


def _find_max_end(text: str, start: int, max_tokens: int) -> int:
    """Return the largest `end` for which `text[start:end]` fits `max_tokens`."""
    low = start + 1
    high = min(len(text), start + max_tokens * 100 // min(_TOKEN_HUNDREDTHS.values()))
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[start:middle]) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return low


def _find_best_end(text: str, start: int, end: int) -> int:
    """Return the best end in the second half of the chunk `text[start:end]`."""
    half = start + (end - start) // 2
    paragraph_ends = [m.end() for m in _paragraph_end.finditer(text, half, end)]
    return (
        max(paragraph_ends, default=0)
        or find_sentence_end(text, half, end)
        or _find_end_of(text, "\n", half, end)
        or _find_end_of(text, " ", half, end)
        or half + find_grapheme_boundary(text[half : end + 1], end - half)
    )


def _find_end_of(text: str, separator: str, start: int, end: int) -> int:
    """Return the index after the last `separator` in `text[start:end]`, or 0."""
    return text.rfind(separator, start, end) + 1


def find_sentence_end(text: str, start: int, end: int) -> int:
    """Return the last index in `text[start:end]` where a sentence has ended, or 0.

    The spaces after a sentence belong to it. Reads at most `TOKENIZER_WINDOW_CHARS` characters
    before `end` and 100 after it, because what follows a full stop decides whether it ends a
    sentence.
    """
    from nupunkt import load  # deferred: 50 ms and 10 MB that short notes do not need

    start = max(start, end - TOKENIZER_WINDOW_CHARS)
    window = text[start : end + 100]
    ends = [
        start + first
        for first, _ in load("default").span_tokenize(window)
        if first and not is_mid_sentence(window[:first].rstrip(), window[first:])
    ]
    ends += [start + m.end() for m in _full_stop.finditer(window)]
    return max((index for index in ends if index <= end), default=0)
