"""Split any text into sentences in linear time: by lines, nupunkt and length.

Lengths are counted in words: runs of characters between spaces. In scripts without spaces,
characters are counted. A run of more than 100 characters counts as several words, so that a limit
in words also limits the size.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from common.ai.text.abbreviations import is_mid_sentence
from common.ai.text.readable_lines import limit_repeats, readable_lines

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer

ELLIPSIS = "…"
MAX_WORD_CHARS = 100  # a longer run of characters counts as several words
TOKENIZER_WINDOW_CHARS = 2_000  # per call of nupunkt, which is quadratic on runs such as "!?!?"
MAX_PIECE_WORDS = 40  # of a piece of a line without a full stop

_HAN = (  # with kana and full-width punctuation
    r"\u2e80-\u2fdf\u3001-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
    r"\U00020000-\U0003ffff"
)
_THAI = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # with Lao, Burmese and Khmer
_han = re.compile(f"[{_HAN}]+")
_thai = re.compile(f"[{_THAI}]+")
_unspaced = re.compile(f"[{_HAN}{_THAI}]")
_full_stop = re.compile(r"(?<=[。！？｡])(?![。！？｡」』”’）])|(?<=[。！？][」』”’）])")
_speaker_label = re.compile(
    r"(?:[\[(]?\d[\d:.,]*[\])]?\s+)?"  # a time: "[00:12:03] "
    r"([^\W\d_][^:：]{0,119}?)\s?(?::\s|：\s?)"
)
_spaced_stop = re.compile(r"(?<=[।॥؟۔])\s+")
_stop_before_space = re.compile(r"[.!?…]\S*\s")
_bracket = re.compile(r"\([^)]*\)")
_clause = re.compile(r"[,;:،؛、，；：](?=\s|[^\x00-\u2fff])|\s[-–—](?=\s)")
_combining = re.compile(
    "[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u1160-\u11ff]"
)
_flag_letter = re.compile("[\U0001f1e6-\U0001f1ff]")


class Sentence(NamedTuple):
    """One sentence, or a part of one that ends in "…". Its spaces are normalised."""

    text: str
    speaker: str = ""  # "Project Manager" in a dialogue, "" in prose
    label: str = ""  # "Project Manager: ", as the line has it


def count_words(text: str) -> int:
    """Return the length of `text` in words, at least `len(text.split())`."""
    tokens = text.split()
    if text.isascii() and max(map(len, tokens), default=0) <= MAX_WORD_CHARS:
        return len(tokens)
    return sum(map(_count_token_words, tokens))


@lru_cache(10_000)
def _count_token_words(token: str) -> int:
    if len(token) <= MAX_WORD_CHARS and token.isascii():
        return 1
    token = token.removesuffix(ELLIPSIS)  # an ellipsis must not lengthen a truncated text
    han, thai = (sum(map(len, run.findall(token))) for run in (_han, _thai))
    return max(1, math.ceil(max(han / 2 + thai / 4, len(token) / MAX_WORD_CHARS)))


def has_unspaced_script(text: str) -> bool:
    """Return whether `text` has a character of a script without spaces between words."""
    return _unspaced.search(text) is not None


def find_grapheme_boundary(text: str, end: int) -> int:
    """Return the last index up to `end` that splits no grapheme, or 0.

    An approximation of UAX 29, which the standard library lacks: combining marks, joiners, emoji
    modifiers, conjoining Jamo, flags and surrogate pairs stay together.
    """
    while 0 < end < len(text) and _is_inside_grapheme(text, end):
        end -= 1
    return end


def _is_inside_grapheme(text: str, index: int) -> bool:
    before, after = text[index - 1], text[index]
    if before == "\u200d" or _combining.match(after) or unicodedata.category(after)[0] == "M":
        return True
    if unicodedata.category(after) == unicodedata.category(before) == "Cs":
        return before < "\udc00" <= after
    if _flag_letter.match(before) and _flag_letter.match(after):
        start = index
        while start and _flag_letter.match(text[start - 1]):
            start -= 1
        return (index - start) % 2 == 1
    return False


def find_cut(text: str, max_words: int) -> int:
    """Return the index at which `text[:index]` has at most `max_words` words.

    It is the end of a word if at least one whole word fits.
    """
    end, left = 0, max_words
    for token in re.finditer(r"\S+", text):
        words = _count_token_words(token[0])
        if words > left:
            return end or _find_token_cut(token[0], left) + token.start()
        left -= words
        end = token.end()
    return end


def _find_token_cut(token: str, max_words: int) -> int:
    end = min(len(token) - 1, max_words * MAX_WORD_CHARS)
    while (words := _count_token_words(token[:end])) > max_words:
        end = min(end - 1, end * max_words // words)
    return find_grapheme_boundary(token, end) or end


def truncate(text: str, max_words: int) -> str:
    """Return `text`, cut to `max_words` words and ended with "…" if it is longer.

    The cut is at the end of a clause if one ends in the second half of what fits.
    """
    end = _find_clause_end(text, find_cut(text, max_words))
    return text if end == len(text) else _strip_end(text[:end]) + ELLIPSIS


def cut_words(text: str, max_words: int) -> str:
    """Return the first `max_words` words of `text`, ended with "…" if it is longer."""
    end = find_cut(text, max_words)
    return text if end == len(text) else _strip_end(text[:end]) + ELLIPSIS


def _find_clause_end(text: str, end: int) -> int:
    if end == len(text):
        return end
    return max((m.start() for m in _clause.finditer(text, end // 2, end)), default=end)


def _strip_end(text: str) -> str:
    """Return `text` without separators at its end, unless it has nothing else."""
    return text.rstrip(" ,;:-–—،؛、，；：") or text


def parse_speaker_label(line: str) -> tuple[str, int]:
    """Return the speaker's name in `line` and the index of what they say.

    That is ("Project Manager", 17) for "Project Manager: Right." and ("", 0) without a name.
    """
    match = _speaker_label.match(line)
    if not match or match[1][0].islower() or len(_bracket.sub("", match[1]).split()) > 6:
        return "", 0
    return match[1], match.end()


def is_dialogue(lines: Sequence[str]) -> bool:
    """Return whether most lines start with a name, one of them repeatedly."""
    speakers = [name for name, _ in map(parse_speaker_label, lines) if name]
    return len(speakers) * 2 > len(lines) and len(set(speakers)) < len(speakers)


def split_sentences(text: str, *, max_words: int) -> list[Sentence]:
    """Return the sentences of `text` in order, in a dialogue with their speakers.

    A sentence that is longer than `max_words`, its label included, is truncated or split.
    """
    lines = readable_lines(text)
    dialogue = is_dialogue(lines)
    sentences = []
    for line in lines:
        speaker, start = parse_speaker_label(line) if dialogue else ("", 0)
        label = line[:start] if count_words(line[:start]) * 2 <= max_words else ""
        for sentence in limit_repeats(_split_line(line[start:])):
            pieces = _shorten(sentence, max_words - count_words(label))
            sentences += [Sentence(piece, speaker, label) for piece in pieces]
    return sentences


def _split_line(line: str) -> Iterator[str]:
    full_stop = _full_stop if has_unspaced_script(line) else _spaced_stop
    for part in full_stop.split(line):
        yield from _merge_fragments(_split_with_nupunkt(part.strip()))


def _merge_fragments(fragments: Iterable[str]) -> Iterator[str]:
    """Join what nupunkt split after an abbreviation or an ordinal."""
    sentence = ""
    for fragment in fragments:
        if sentence and not is_mid_sentence(sentence, fragment):
            yield sentence
            sentence = ""
        sentence = f"{sentence} {fragment}" if sentence else fragment
    if sentence:
        yield sentence


@cache
def _load_tokenizer() -> "PunktSentenceTokenizer":
    from nupunkt import load  # deferred: 50 ms and 10 MB that are not needed with an OpenAI key

    return load("default")


def _split_with_nupunkt(line: str) -> Iterator[str]:
    """Yield the sentences of `line`, tokenized in windows of limited length.

    Each window starts where the last sentence of the one before started.
    """
    start = 0
    while len(line) - start > TOKENIZER_WINDOW_CHARS:
        end = line.rfind(" ", start + 1, start + TOKENIZER_WINDOW_CHARS)
        if end < 0:  # a window without a space has no sentence end
            end = line.find(" ", start + TOKENIZER_WINDOW_CHARS)
            end = end if end >= 0 else len(line)
            yield line[start:end]
        else:
            spans = list(_load_tokenizer().span_tokenize(line[start:end]))
            if len(spans) > 1:
                end = start + spans[-1][0]
                spans = spans[:-1]
            for first, last in spans:
                yield line[start + first : start + last].strip()
        start = end
    rest = line[start:].strip()
    if not _stop_before_space.search(rest):
        yield from filter(None, [rest])
    elif rest:
        yield from (s.strip() for s in _load_tokenizer().tokenize(rest))


def _shorten(sentence: str, max_words: int) -> Iterator[str]:
    """Yield `sentence`, its beginning, or all of it in pieces if it is very long."""
    words = count_words(sentence)
    if words <= max_words:
        yield sentence
    elif words <= 4 * max_words:  # written as one sentence, so its beginning represents it
        yield truncate(sentence, max_words)
    else:
        yield from _split_pieces(sentence, min(MAX_PIECE_WORDS, max_words))


def _split_pieces(text: str, max_words: int) -> Iterator[str]:
    """Yield all of `text` in pieces of at most `max_words` words, ended with "…"."""
    start, window_chars = 0, (max_words + 1) * MAX_WORD_CHARS + 1  # no piece is longer
    while start < len(text):
        window = text[start : start + window_chars]
        end = _find_clause_end(window, find_cut(window, max_words))
        is_last = start + end >= len(text)
        yield (window if is_last else _strip_end(window[:end]) + ELLIPSIS).strip()
        mark = _clause.match(window, end)  # it ended this piece and must not begin the next
        start += mark.end() if mark else end
