"""Remove headings, titles and closing lines, which are not sentences."""

import re

from common.ai.text.markdown import BULLET, HEADING
from common.ai.text.transcripts import SENTENCE_END

MAX_TITLE_CHARS = 60
MAX_TITLE_WORDS = 10
MAX_DENSE_TITLE_WORDS = 3  # of a title without a blank line before it, and of a closing line
MAX_CLOSING_LINES = 4  # of a mail after its last sentence, empty lines included

_attendee_list = re.compile(
    r"(?:present|attendees|participants|anwesend|teilnehmer|présents|asistentes)\s?: ",
    re.IGNORECASE,
)


def strip_titles(lines: list[str]) -> list[str]:
    """Return `lines` without headings.

    If most of the text is sentences, also without short lines that are not.
    """
    lines = [line for line in lines if not HEADING.match(line)]
    sentence_chars = sum(len(line) for line in lines if SENTENCE_END.search(line))
    if sentence_chars * 2 <= sum(map(len, lines)):
        return lines
    ends = [n for n, line in enumerate(lines) if SENTENCE_END.search(line)]
    first, last = ends[0], ends[-1]
    closing_start = last + 1 if _has_closing(lines[last + 1 :]) else len(lines)
    kept = []
    for n, (before, line, after) in enumerate(
        zip(["", *lines[:-1]], lines, [*lines[1:], ""], strict=True)
    ):
        is_closing = n >= closing_start and len(line.split()) <= MAX_DENSE_TITLE_WORDS
        if not line or not (is_closing or _is_title(line, before, after, is_top=n < first)):
            kept.append(line)
    return kept


def _has_closing(lines: list[str]) -> bool:
    """Return whether `lines`, which follow the last sentence, may close a mail."""
    return len(lines) <= MAX_CLOSING_LINES and not any(line.endswith(":") for line in lines)


def _is_title(line: str, before: str, after: str, *, is_top: bool) -> bool:
    """Return whether `line` is a title, by its neighbours.

    `is_top` says that it comes before the first sentence, where several titles may be adjacent.
    """
    if is_top and _attendee_list.match(line):
        return True
    words = len(line.split())
    if len(line) > MAX_TITLE_CHARS or words > MAX_TITLE_WORDS:
        return False
    if line[0].islower() or before.endswith(":"):
        return False
    if SENTENCE_END.search(line) or BULLET.match(line) or "|" in line or ": " in line:
        return False
    if is_top or line.isupper():
        return True
    if before and not SENTENCE_END.search(before):
        return False
    return not before or not after or words <= MAX_DENSE_TITLE_WORDS
