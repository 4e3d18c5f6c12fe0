"""Lines of a text as people read them: without the marks of Markdown and what is no sentence."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, pairwise

from common.ai.text.transcripts import ENDED, spoken
from common.documents.plain_text import unwrapped

TITLE = 60  # characters and
TITLE_WORDS = 10  # words that a line of prose may have to be taken for a title
BARE_TITLE = 3  # words, where no blank line is above it
REPEATS = 10  # of one line in a text, and of one sentence in a line
FAREWELL = 5  # lines of a mail below its last sentence, empty ones too
SIGNATURE = 8  # lines below "--"

_heading = re.compile(r"#{1,6}\s")
_mark = re.compile(r"(?:[-*+•>▪→✓]\s+)+(?:\[[xX]\]\s+)?")
_quoted = re.compile(r"(?:>\s?)+")
_number = re.compile(r"\(?(\d{1,3})[.)]\s+")
_fence = re.compile(r"(?:```|~~~)")
_row = re.compile(r"\|.*\|$")
_rule = re.compile(r"[|:\s-]+$")
_header = re.compile(  # of a mail
    r"(from|to|cc|subject|date|sent|von|an|betreff|datum|gesendet|de|à|objet|envoyé|asunto|para|"
    r"fecha)\s?: ",
    re.IGNORECASE,
)
_present = re.compile(
    r"(?:present|attendees|participants|anwesend|teilnehmer|présents|asistentes)\s?: ",
    re.IGNORECASE,
)
_wrote = re.compile(r".{0,200}\b(?:wrote|schrieb|a écrit|escribió)\b.{0,80}:$")
# Each bounded, so that a line of beginnings without ends is not read again for each of them.
_image = re.compile(r"!\[[^\]]{0,200}\]\([^()\s]{0,500}\)$")
_struck = re.compile(r"(?<!~)~~(?=\S).{1,200}?(?<=\S)~~(?!~)")
_strong = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])(.{1,200}?)(?<=[^\s*])\*{1,3}(?![\w*])")
_stressed = re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])(.{1,200}?)(?<=[^\s_])_{1,3}(?![\w_]|\.\w)")
_code = re.compile(r"(?<!`)`([^`]{1,200})`(?!`)")
_link = re.compile(r"!?\[([^\]]{1,200})\]\([^()\s]{0,500}\)")


@lru_cache(1)  # one summary asks several times
def readable(text: str) -> tuple[str, ...]:
    """The lines of `text` that hold its sentences, its turns if it is a transcript."""
    lines = list(seldom(" ".join(line.split()) for line in text.splitlines()))
    if turns := spoken(lines):
        return tuple(turns)
    unquoted = [_quoted.sub("", line, count=1) if line[:1] == ">" else line for line in lines]
    return tuple(plain(unwrapped("\n".join(unquoted)).split("\n")) or filter(None, lines))


def seldom(texts: Iterable[str]) -> Iterator[str]:
    """The first few of equal ones, as a page's head need not be weighed for each page. What has a
    meaning by its place, an empty line or a fence, is there each time."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen[text] += 1
        if seen[text] <= REPEATS or not text or _fence.match(text):
            yield text


def plain(lines: list[str]) -> list[str]:
    """The lines without what marks lists, quotations, links and stress, and without what is no
    sentence: titles, tables, code, and the head and the signature of a mail. Where there is
    nothing else, these stay. Empty lines show where a title may be, and go."""
    for without in (_blocks, _signature, _head, _titles):
        kept = without(lines)
        lines = kept if any(kept) else lines
    lines = [line for line in lines if line]
    numbered = _is_numbered(lines)
    return [text for line in lines if (text := _plain(line, numbered=numbered))]


def _blocks(lines: list[str]) -> list[str]:
    """Without code between fences and without pictures; tables only where they are most of it."""
    fences = [bool(_fence.match(line)) for line in lines]
    closed = sum(fences) % 2 == 0
    inside = [closed and n % 2 == 1 for n in accumulate(fences)]
    unfenced = [n for n, line in enumerate(lines) if not fences[n]]
    text = [lines[n] for n in unfenced if not (inside[n] or _image.match(lines[n]))]
    text = text if any(text) else [lines[n] for n in unfenced]
    rows = [line for line in text if _row.match(line)]
    body = [line for line in text if not (_row.match(line) or _heading.match(line))]
    if sum(map(len, rows)) < sum(map(len, body)):
        return [line for line in text if not _row.match(line)]
    return [
        line.strip("| ") if _row.match(line) else line for line in text if not _rule.match(line)
    ]


def _signature(lines: list[str]) -> list[str]:
    """Without the few words that a mail has below its last "--"."""
    if "--" not in lines[-SIGNATURE - 1 :]:
        return lines
    last = len(lines) - 1 - lines[::-1].index("--")
    tail = lines[last + 1 :]
    if any(ENDED.search(line) or _mark.match(line) or _number.match(line) for line in tail):
        return lines
    return lines[:last]


def _head(lines: list[str]) -> list[str]:
    """Without a mail's own "From: …", which stand together, each once, and "Bob wrote:"."""
    keys = [found[1].casefold() if (found := _header.match(line)) else "" for line in lines]
    once = [bool(key) and keys.count(key) == 1 for key in keys]
    beside = [a or b for a, b in zip([False, *once[:-1]], [*once[1:], False], strict=True)]
    heads = [here and near for here, near in zip(once, beside, strict=True)]
    return [line for n, line in enumerate(lines) if not (heads[n] or _wrote.match(line))]


def _titles(lines: list[str]) -> list[str]:
    """Without headings; where most of it ends as sentences do, short lines that don't are some."""
    lines = [line for line in lines if not _heading.match(line)]
    ended = sum(len(line) for line in lines if ENDED.search(line))
    if ended * 2 <= sum(map(len, lines)):
        return lines
    stops = [n for n, line in enumerate(lines) if ENDED.search(line)]
    first, last = stops[0], stops[-1]
    below = lines[last + 1 :]
    farewell = len(below) < FAREWELL and not any(line.endswith(":") for line in below)
    kept = []
    for n, (before, line, after) in enumerate(
        zip(["", *lines[:-1]], lines, [*lines[1:], ""], strict=True)
    ):
        sign_off = n > last and farewell and len(line.split()) <= BARE_TITLE
        if not line or not (sign_off or _is_title(line, before, after, top=n < first)):
            kept.append(line)
    return kept


def _is_title(line: str, before: str, after: str, *, top: bool) -> bool:
    """Whether `line` is one, by its neighbours; at the `top` several may stand together."""
    if top and _present.match(line):
        return True
    words = len(line.split())
    if len(line) > TITLE or words > TITLE_WORDS or line[0].islower() or before.endswith(":"):
        return False
    if ENDED.search(line) or _mark.match(line) or "|" in line or ": " in line:
        return False
    if top or line.isupper():
        return True
    alone = not before or bool(ENDED.search(before))
    return alone and (not before or not after or words <= BARE_TITLE)


def _is_numbered(lines: list[str]) -> bool:
    """Whether numbers are those of a list: "12. März" begins a sentence."""
    numbers = [int(number[1]) for line in lines if (number := _number.match(line))]
    return any(b == a + 1 for a, b in pairwise(numbers))


def _plain(line: str, *, numbered: bool) -> str:
    for mark in (_mark, _number) if numbered else (_mark,):
        if found := mark.match(line):
            line = line[found.end() :]
    line = _struck.sub("", line)
    for pattern in (_link, _strong, _stressed, _code):
        line = pattern.sub(r"\1", line)
    return " ".join(line.split())
