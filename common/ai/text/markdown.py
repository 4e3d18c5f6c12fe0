"""Remove Markdown marks, and blocks without sentences."""

import re
from itertools import accumulate, pairwise

HEADING = re.compile(r"#{1,6}\s")
BULLET = re.compile(r"(?:[-*+•>▪→✓]\s+)+(?:\[[xX]\]\s+)?")
LIST_NUMBER = re.compile(r"\(?(\d{1,3})[.)]\s+")
CODE_FENCE = re.compile(r"(?:```|~~~)")

_table_row = re.compile(r"\|.*\|$")
_table_rule = re.compile(r"[|:\s-]+$")
# Lengths are bounded, so that a line with many unclosed marks does not take quadratic time.
_image = re.compile(r"!\[[^\]]{0,200}\]\([^()\s]{0,500}\)$")
_strikethrough = re.compile(r"(?<!~)~~(?=\S).{1,200}?(?<=\S)~~(?!~)")
_asterisks = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])(.{1,200}?)(?<=[^\s*])\*{1,3}(?![\w*])")
_underscores = re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])(.{1,200}?)(?<=[^\s_])_{1,3}(?![\w_]|\.\w)")
_code = re.compile(r"(?<!`)`([^`]{1,200})`(?!`)")
_link = re.compile(r"!?\[([^\]]{1,200})\]\([^()\s]{0,500}\)")


def strip_blocks(lines: list[str]) -> list[str]:
    """Return `lines` without fenced code, images and tables.

    Tables are kept, as lines of "cell | cell", if they are most of the text.
    """
    lines = _strip_code_and_images(lines)
    rows = [line for line in lines if _table_row.match(line)]
    body = [line for line in lines if not (_table_row.match(line) or HEADING.match(line))]
    if sum(map(len, rows)) < sum(map(len, body)):
        return [line for line in lines if not _table_row.match(line)]
    return [
        line.strip("| ") if _table_row.match(line) else line
        for line in lines
        if not _table_rule.match(line)
    ]


def _strip_code_and_images(lines: list[str]) -> list[str]:
    """Return `lines` without fenced code and images.

    Only the fences are removed if their number is odd or if nothing else would be left.
    """
    fences = [bool(CODE_FENCE.match(line)) for line in lines]
    all_closed = sum(fences) % 2 == 0
    is_code = [all_closed and count % 2 == 1 for count in accumulate(fences)]
    unfenced = [n for n, is_fence in enumerate(fences) if not is_fence]
    kept = [lines[n] for n in unfenced if not (is_code[n] or _image.match(lines[n]))]
    return kept if any(kept) else [lines[n] for n in unfenced]


def is_numbered_list(lines: list[str]) -> bool:
    """Return whether numbers at the start of lines count up, unlike "12. März"."""
    numbers = [int(number[1]) for line in lines if (number := LIST_NUMBER.match(line))]
    return any(b == a + 1 for a, b in pairwise(numbers))


def strip_inline_marks(line: str, *, numbered: bool) -> str:
    """Return `line` without marks of lists, links, emphasis and code.

    Deleted text is removed too. A number at its start is removed only from a `numbered` list.
    """
    for mark in (BULLET, LIST_NUMBER) if numbered else (BULLET,):
        if found := mark.match(line):
            line = line[found.end() :]
    line = _strikethrough.sub("", line)
    for pattern in (_link, _asterisks, _underscores, _code):
        line = pattern.sub(r"\1", line)
    return " ".join(line.split())
