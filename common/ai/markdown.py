"""Lines of a text as people read them: without the marks of Markdown and what is no sentence."""

import re
from itertools import accumulate, pairwise

TITLE = 60  # characters and
TITLE_WORDS = 10  # words that a line of prose may have to be taken for a title
SIGNATURE = 10  # lines below "--"

_heading = re.compile(r"#{1,6}\s")
_mark = re.compile(r"(?:[-*+•>]\s+)+(?:\[[xX]\]\s+)?")
_number = re.compile(r"\(?(\d{1,3})[.)]\s+")
_fence = re.compile(r"(?:```|~~~)")
_row = re.compile(r"\|.*\|$")
_timing = re.compile(r"(?:\d+:)?\d\d:\d\d[.,]\d{3} --> ")
_voice = re.compile(r"<v(?:\.[\w.]+)? ([^>]{1,100})>")
_header = re.compile(  # of a mail, and of minutes
    r"(?:from|to|cc|subject|date|sent|present|attendees|participants|von|an|betreff|datum|gesendet|"
    r"anwesend|teilnehmer|de|à|objet|date|présents|asunto|para|fecha|asistentes)\s?: ",
    re.IGNORECASE,
)
_end = re.compile(r"[.!?…。！？｡؟।۔][\"'”’»)\]]*$")
# Each bounded, so that a line of beginnings without ends is not read again for each of them.
_image = re.compile(r"!\[[^\]]{0,200}\]\([^()\s]{0,500}\)$")
_struck = re.compile(r"(?<!~)~~(?=\S).{1,200}?(?<=\S)~~(?!~)")
_strong = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])(.{1,200}?)(?<=[^\s*])\*{1,3}(?![\w*])")
_stressed = re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])(.{1,200}?)(?<=[^\s_])_{1,3}(?![\w_])")
_code = re.compile(r"(?<!`)`([^`]{1,200})`(?!`)")
_link = re.compile(r"!?\[([^\]]{1,200})\]\([^()\s]{0,500}\)")


def plain(lines: list[str]) -> list[str]:
    """The lines without what marks lists, quotations, links and stress, and without what is no
    sentence: titles, tables, code, signatures and the times of subtitles. Where there is nothing
    else, these stay."""
    if any(map(_timing.match, lines)):
        return _said(lines) or lines
    for without in (_blocks, _signature, _titles):
        lines = without(lines) or lines
    numbered = _is_numbered(lines)
    return [text for line in lines if (text := _plain(line, numbered=numbered))]


def _said(lines: list[str]) -> list[str]:
    """Of subtitles (WebVTT and SRT) what is said and by whom; sentences may go over several."""
    said: list[str] = []
    for line, after in pairwise([*lines, ""]):
        if line == "WEBVTT" or _timing.match(line) or (line.isdigit() and _timing.match(after)):
            continue
        text = _voice.sub(r"\1: ", line, count=1).replace("</v>", "")
        if said and text == line and not _end.search(said[-1]):
            said[-1] += " " + text
        else:
            said.append(text)
    return said


def _blocks(lines: list[str]) -> list[str]:
    """Without code between fences, without the rows of tables, and without pictures."""
    fences = [bool(_fence.match(line)) for line in lines]
    closed = sum(fences) % 2 == 0
    outside = [
        line for line, n in zip(lines, accumulate(fences), strict=True) if n % 2 == 0 or not closed
    ]
    unfenced = [line for line in outside if not _fence.match(line)]
    text = [line for line in unfenced if not (_row.match(line) or _image.match(line))]
    return text or unfenced or [line for line in lines if not _fence.match(line)]


def _signature(lines: list[str]) -> list[str]:
    """Without what a mail has below "--"."""
    tail = lines[-SIGNATURE - 1 :]
    return lines[: len(lines) - len(tail) + tail.index("--")] if "--" in tail else lines


def _titles(lines: list[str]) -> list[str]:
    """Without headings; where most of it ends as sentences do, short lines that don't are some."""
    lines = [line for line in lines if not _heading.match(line)]
    body = [line for line in lines if not _header.match(line)]
    ended = sum(len(line) for line in body if _end.search(line))
    in_sentences = ended * 2 > sum(map(len, body))
    return [line for line in lines if not _is_title(line)] if in_sentences else lines


def _is_title(line: str) -> bool:
    if _header.match(line):
        return True
    short = len(line) <= TITLE and len(line.split()) <= TITLE_WORDS
    return short and not (_end.search(line) or _mark.match(line) or ": " in line)


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
