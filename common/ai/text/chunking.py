"""Long texts in parts that fit a model's context. No part is lost: joined, they are the text.

Tokens are estimated, not counted: a tokenizer's tables would have to be downloaded, and every
provider has its own. The estimate errs upwards (`test_ai_chunks.py` holds it against counts made
with cl100k_base, the greediest of the vocabularies in wide use).
"""

import math
import re
from collections.abc import Iterator

from common.ai.text.abbreviations import mid_sentence
from common.ai.text.sentences import WINDOW, whole_until

SMALLEST = 16  # tokens; the least that `split` accepts, well above the dearest single character

# Hundredths of a token by a character's first byte in UTF-8. Letters of common words share a token,
# figures, capitals and signs hardly do; rare scripts pay nearly a token for each of their bytes.
_SPACE, _LOWER, _OTHER, _TWO, _THREE, _RARE, _FOUR = range(1, 8)
_WEIGHTS = {_SPACE: 10, _LOWER: 40, _OTHER: 100, _TWO: 120, _THREE: 160, _RARE: 280, _FOUR: 300}


def _kinds() -> bytes:
    """For each byte, the kind of the character that it begins; 0 if it only continues one."""
    table = bytearray([_OTHER]) * 256
    table[ord(" ")] = _SPACE
    table[ord("a") : ord("z") + 1] = bytes([_LOWER]) * 26
    table[0x80:0xC0] = bytes(0x40)
    table[0xC0:0xE0] = bytes([_TWO]) * 0x20
    table[0xE0:0xF0] = bytes([_THREE]) * 0x10
    table[0xF0:] = bytes([_FOUR]) * 0x10
    table[0xCC] = _RARE  # combining marks
    table[0xE1:0xE3] = bytes([_RARE]) * 2  # Ethiopic, Georgian, Khmer, mathematical signs
    return bytes(table)


_KINDS = _kinds()
_paragraph_end = re.compile(r"\n\s*\n\s*")
# The full stops that nupunkt does not know (Chinese, Arabic, Hindi), and what closes a quotation.
_full_stop = re.compile(
    "[\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964]+[\u300d\u300f\u201d\u2019\uff09\"')]*\\s*"
)


def estimate_tokens(text: str) -> int:
    """A careful guess at how many tokens `text` is, for prose 1.2 to 2 times what it is."""
    kinds = text.encode("utf-8", "surrogatepass").translate(_KINDS)
    hundredths = sum(kinds.count(kind) * weight for kind, weight in _WEIGHTS.items())
    return math.ceil(hundredths / 100)


def split(text: str, max_tokens: int) -> Iterator[str]:
    """`text` in order, in parts of at most `max_tokens` estimated tokens.

    A part ends where a paragraph does, else a sentence, a line, a word, and only when its second
    half has none of these, anywhere between two characters. Raises ValueError for a `max_tokens`
    below `SMALLEST`.
    """
    if max_tokens < SMALLEST:
        raise ValueError(f"max_tokens must be at least {SMALLEST}")
    start = 0
    while start < len(text):
        end = _reach(text, start, max_tokens)
        if end < len(text):
            end = _good_end(text, start, end)
        yield text[start:end]
        start = end


def _reach(text: str, start: int, max_tokens: int) -> int:
    """The furthest end such that `text[start:end]` fits."""
    low = start + 1
    high = min(len(text), start + max_tokens * 100 // min(_WEIGHTS.values()))
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[start:middle]) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    return low


def _good_end(text: str, start: int, end: int) -> int:
    """The best place to end a part that may reach from `start` to `end`."""
    half = start + (end - start) // 2
    paragraphs = [m.end() for m in _paragraph_end.finditer(text, half, end)]
    return (
        max(paragraphs, default=0)
        or sentence_end(text, half, end)
        or _after(text, "\n", half, end)
        or _after(text, " ", half, end)
        or half + whole_until(text[half : end + 1], end - half)
    )


def _after(text: str, mark: str, start: int, end: int) -> int:
    """The place after the last `mark`, 0 if there is none."""
    return text.rfind(mark, start, end) + 1


def sentence_end(text: str, start: int, end: int) -> int:
    """The last place in `text[start:end]` where a sentence has just ended, 0 if there is none.

    Spaces after the sentence belong to it. Reads no more than `WINDOW` characters before `end`,
    and a few after it, because a full stop is judged by what follows.
    """
    from nupunkt import load  # 50 ms and 10 MB that a short note never needs

    start = max(start, end - WINDOW)
    ahead = text[start : end + 100]
    starts = [
        start + first
        for first, _ in load("default").span_tokenize(ahead)
        if first and not mid_sentence(ahead[:first].rstrip(), ahead[first:])
    ]
    stops = [start + m.end() for m in _full_stop.finditer(ahead)]
    return max((place for place in starts + stops if place <= end), default=0)
