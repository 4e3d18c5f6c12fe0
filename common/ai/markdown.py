"""Lines of Markdown as people read them: without the marks that other texts hardly ever have."""

import re

_heading = re.compile(r"#{1,6}\s")
# No numbers: "12. März" begins a sentence.
_mark = re.compile(r"(?:[-*+•>]\s+)+(?:\[[ xX]\]\s+)?")
_fence = re.compile(r"(?:```|~~~)")
# Each bounded, so that a line of beginnings without ends is not read again for each of them.
_strong = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])(.{1,200}?)(?<=[^\s*])\*{1,3}(?![\w*])")
_struck = re.compile(r"(?<!~)~~(?=\S)(.{1,200}?)(?<=\S)~~(?!~)")
_code = re.compile(r"(?<!`)`([^`]{1,200})`(?!`)")
_link = re.compile(r"!?\[([^\]]{1,200})\]\([^()\s]{0,500}\)")


def plain(lines: list[str]) -> list[str]:
    """The lines without what marks lists, quotations, links and stress, and without headings,
    which are no sentences; if there is nothing else, these stay."""
    lines = [line for line in lines if not _fence.match(line)]
    body = [line for line in lines if not _heading.match(line)]
    return [text for line in body or lines if (text := _plain(line))]


def _plain(line: str) -> str:
    if mark := _mark.match(line):
        line = line[mark.end() :]
    for pattern in (_link, _strong, _struck, _code):
        line = pattern.sub(r"\1", line)
    return line.strip()
