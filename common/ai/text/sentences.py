"""Sentences of any text in linear time: lines first, then nupunkt, then cuts where neither helps.

A unit of length here is a "word": a run of characters between spaces. Scripts that write no
spaces are counted by the character, and a monster without spaces counts once per 100 characters,
so that a limit in words always limits the size too.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from common.ai.text.abbreviations import mid_sentence
from common.ai.text.markdown import readable, seldom

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer

ELLIPSIS = "…"
LONG_TOKEN = 100  # characters that one "word" may have before it counts as several
WINDOW = 2_000  # characters handed to nupunkt at once: it is quadratic on runs such as "!?!?"
PIECE = 40  # words to a piece of a line that has no full stop

_HAN = (  # with kana and full-width punctuation
    r"\u2e80-\u2fdf\u3001-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
    r"\U00020000-\U0003ffff"
)
_THAI = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # with Lao, Burmese and Khmer
_han = re.compile(f"[{_HAN}]+")
_thai = re.compile(f"[{_THAI}]+")
_unspaced = re.compile(f"[{_HAN}{_THAI}]")
_full_stop = re.compile(r"(?<=[。！？｡])(?![。！？｡」』”’）])|(?<=[。！？][」』”’）])")
_label = re.compile(
    r"(?:[\[(]?\d[\d:.,]*[\])]?\s+)?"  # a time: "[00:12:03] "
    r"([^\W\d_][^:：]{0,119}?)\s?(?::\s|：\s?)"
)
_other_stop = re.compile(r"(?<=[।॥؟۔])\s+")
_stop = re.compile(r"[.!?…]\S*\s")
_bracket = re.compile(r"\([^)]*\)")
_clause = re.compile(r"[,;:،؛、，；：](?=\s|[^\x00-\u2fff])|\s[-–—](?=\s)")
_sticky = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u1160-\u11ff]")
_flag = re.compile("[\U0001f1e6-\U0001f1ff]")


class Sentence(NamedTuple):
    """One sentence, or a piece of one that ends in "…". Its spaces are normalised."""

    text: str
    speaker: str = ""  # "Project Manager" in a dialogue, "" in prose
    label: str = ""  # "Project Manager: ", as the line has it


def cost(text: str) -> int:
    """The length of `text` in words, at least `len(text.split())`."""
    tokens = text.split()
    if text.isascii() and max(map(len, tokens), default=0) <= LONG_TOKEN:
        return len(tokens)
    return sum(map(_token_cost, tokens))


@lru_cache(10_000)
def _token_cost(token: str) -> int:
    if len(token) <= LONG_TOKEN and token.isascii():
        return 1
    token = token.removesuffix(ELLIPSIS)  # so that a cut costs no more than what it leaves
    han, thai = (sum(map(len, run.findall(token))) for run in (_han, _thai))
    return max(1, math.ceil(max(han / 2 + thai / 4, len(token) / LONG_TOKEN)))


def spaceless(text: str) -> bool:
    """Whether `text` has a character of a script that puts no spaces between its words."""
    return _unspaced.search(text) is not None


def whole_until(text: str, end: int) -> int:
    """The last place at or before `end` that does not split what a reader sees as one character.

    An approximation of UAX 29 (the standard library has none): marks, joiners, emoji modifiers,
    conjoining Jamo, flags and surrogate halves stay together. 0 where there is no such place.
    """
    while 0 < end < len(text) and _glued(text, end):
        end -= 1
    return end


def _glued(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if before == "\u200d" or _sticky.match(after) or unicodedata.category(after)[0] == "M":
        return True
    if unicodedata.category(after) == unicodedata.category(before) == "Cs":
        return before < "\udc00" <= after
    if _flag.match(before) and _flag.match(after):
        start = at
        while start and _flag.match(text[start - 1]):
            start -= 1
        return (at - start) % 2 == 1
    return False


def fit(text: str, words: int) -> int:
    """Where to end `text` so that it costs at most `words`: the end of a word if there is one."""
    end = 0
    for token in re.finditer(r"\S+", text):
        words -= _token_cost(token[0])
        if words < 0:
            return end or _fit_token(token[0], words + _token_cost(token[0])) + token.start()
        end = token.end()
    return end


def _fit_token(token: str, words: int) -> int:
    step = min(len(token) - 1, words * LONG_TOKEN)
    while (needed := _token_cost(token[:step])) > words:
        step = min(step - 1, step * words // needed)
    return whole_until(token, step) or step


def clip(text: str, words: int) -> str:
    """`text`, or its start of at most `words` words, ended at a clause if one ends late enough."""
    end = _clause_end(text, fit(text, words))
    return text if end == len(text) else _trimmed(text[:end]) + ELLIPSIS


def _clause_end(text: str, end: int) -> int:
    if end == len(text):
        return end
    return max((m.start() for m in _clause.finditer(text, end // 2, end)), default=end)


def _trimmed(text: str) -> str:
    return text.rstrip(" ,;:-–—،؛、，；：") or text


def speaker_label(line: str) -> tuple[str, int]:
    """("Project Manager", where the words begin) of "Project Manager: Right.", else ("", 0)."""
    match = _label.match(line)
    if not match or match[1][0].islower() or len(_bracket.sub("", match[1]).split()) > 6:
        return "", 0
    return match[1], match.end()


def is_dialogue(lines: Sequence[str]) -> bool:
    """Whether most lines begin with a speaker's name and some speaker has several lines."""
    speakers = [name for name, _ in map(speaker_label, lines) if name]
    return len(speakers) * 2 > len(lines) and len(set(speakers)) < len(speakers)


def split(text: str, *, longest: int) -> list[Sentence]:
    """The sentences of `text` in order, with their speakers if it is a dialogue.

    One that has more than `longest` words, its speaker's label counted, comes as pieces of it.
    """
    lines = readable(text)
    dialogue = is_dialogue(lines)
    found = []
    for line in lines:
        speaker, start = speaker_label(line) if dialogue else ("", 0)
        label = line[:start] if cost(line[:start]) * 2 <= longest else ""
        for sentence in seldom(_line_sentences(line[start:])):
            pieces = _pieces(sentence, longest - cost(label))
            found += [Sentence(piece, speaker, label) for piece in pieces]
    return found


def _line_sentences(line: str) -> Iterator[str]:
    for part in (_full_stop if spaceless(line) else _other_stop).split(line):
        yield from _mended(_punkt(part.strip()))


def _mended(sentences: Iterable[str]) -> Iterator[str]:
    whole = ""
    for sentence in sentences:
        if whole and not mid_sentence(whole, sentence):
            yield whole
            whole = ""
        whole = f"{whole} {sentence}" if whole else sentence
    if whole:
        yield whole


@cache
def _tokenizer() -> "PunktSentenceTokenizer":
    from nupunkt import load  # 50 ms and 10 MB that a process with an OpenAI key never needs

    return load("default")


def _punkt(line: str) -> Iterator[str]:
    """nupunkt by windows, a sentence that a window's end cut in two carried into the next."""
    start = 0
    while len(line) - start > WINDOW:
        end = line.rfind(" ", start + 1, start + WINDOW)
        if end < 0:  # no space in sight: no sentence end either
            end = line.find(" ", start + WINDOW)
            end = end if end >= 0 else len(line)
            yield line[start:end]
        else:
            spans = list(_tokenizer().span_tokenize(line[start:end]))
            if len(spans) > 1:
                end = start + spans[-1][0]
                spans = spans[:-1]
            for first, last in spans:
                yield line[start + first : start + last].strip()
        start = end
    rest = line[start:].strip()
    if not _stop.search(rest):
        yield from filter(None, [rest])
    elif rest:
        yield from (s.strip() for s in _tokenizer().tokenize(rest))


def _pieces(sentence: str, longest: int) -> Iterator[str]:
    words = cost(sentence)
    if words <= longest:
        yield sentence
    elif words <= 4 * longest:  # a person wrote it as one: its beginning stands for it
        yield clip(sentence, longest)
    else:
        yield from _windows(sentence, min(PIECE, longest))


def _windows(text: str, words: int) -> Iterator[str]:
    start, reach = 0, (words + 1) * LONG_TOKEN + 1  # no window is longer, so none reads further
    while start < len(text):
        ahead = text[start : start + reach]
        end = _clause_end(ahead, fit(ahead, words))
        last = start + end >= len(text)
        yield (ahead if last else _trimmed(ahead[:end]) + ELLIPSIS).strip()
        mark = _clause.match(ahead, end)  # it ended this piece and does not begin the next
        start += mark.end() if mark else end
