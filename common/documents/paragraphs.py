"""Recognise wrapped prose, and join the lines of one column to paragraphs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median, mode
from typing import NamedTuple

from common.documents.line_joining import divides_word, join_lines
from common.documents.page_fragments import Fragment
from common.documents.plain_text import (
    FULL_LINE_RATIO,
    continues_sentence,
    list_item,
    starts_mid_sentence,
)

# These recognise prose, as in `plain_text`.
MIN_PROSE_LINES = 3
MIN_WRAPPED_RATIO = 0.6  # of the lines; the next word would not have had space in them
MIN_CONTINUED_RATIO = 0.4  # of the lines; they start with a small letter
MIN_LINE_WORDS, MIN_LINE_CHARS = 2, 10
# German has many capitals: in lines of so many words, fewer have to start with a small letter.
WORDY_LINE_WORDS, MIN_WORDY_CONTINUED_RATIO = 4, 0.2
# These divide the lines of a column.
ROW_SPACING = 1.25  # of the median distance of lines; a larger distance separates blocks
INDENT = 0.8  # of the height of a line
MAX_SIZE_RATIO = 1.3  # of the heights of two lines in one block


class Line(NamedTuple):
    box: Fragment
    is_table_row: bool = False

    @property
    def text(self) -> str:
        return self.box.text


def looks_like_prose(lines: Sequence[Fragment]) -> bool:
    """Return whether there are enough lines for a judgement, and they are wrapped sentences."""
    return len(lines) >= MIN_PROSE_LINES and is_wrapped(lines)


def is_wrapped(lines: Sequence[Fragment]) -> bool:
    """Return whether most lines are full, and many start in the middle of a sentence."""
    right_edge = max(line.right for line in lines)
    pairs = list(pairwise(lines))
    long_line = right_edge - (1 - FULL_LINE_RATIO) * (right_edge - min(line.left for line in lines))
    wrapped = sum(
        line.right >= long_line or is_full(line, after, right_edge) for line, after in pairs
    )
    continued = sum(starts_mid_sentence(after.text) for _, after in pairs)
    text = " ".join(line.text for line in lines)
    words = text.count(" ") + 1
    if not pairs:
        return False
    has_long_lines = len(text) >= MIN_LINE_CHARS * len(lines) and (
        words >= MIN_LINE_WORDS * len(lines) or not text.isascii()
    )
    is_wordy = words >= WORDY_LINE_WORDS * len(lines)
    min_continued = MIN_WORDY_CONTINUED_RATIO if is_wordy else MIN_CONTINUED_RATIO
    return (
        has_long_lines
        and wrapped >= MIN_WRAPPED_RATIO * len(pairs)
        and continued >= min_continued * len(pairs)
    )


def is_full(line: Fragment, after: Fragment, right_edge: float) -> bool:
    """Return whether the first word of the line `after` would not have had space in `line`."""
    if divides_word(line.text):
        return True
    width = (after.right - after.left) / max(len(after.text), 1)
    word = after.text.split(" ", 1)[0]
    if not word.isascii() and len(word) == len(after.text):  # Chinese has no spaces
        word = word[:2]
    return line.right + (len(word) + 0.5) * width > right_edge


def join_flow(lines: list[Line], compounds: frozenset[str]) -> Iterator[str]:
    """Yield the paragraphs of one column, with an empty text between blocks."""
    region_edge = max(line.box.right for line in lines)
    blocks = _group_by_distance([line.box for line in lines])
    position = 0
    for number, block in enumerate(blocks):
        if number:
            yield ""
        yield from _join_block(lines[position : position + len(block)], region_edge, compounds)
        position += len(block)


def _group_by_distance(lines: list[Fragment]) -> list[list[Fragment]]:
    """Divide lines where their distance is larger than usual or their size changes."""
    distances = [before.bottom - after.bottom for before, after in pairwise(lines)]
    usual = median(distances) if distances else 0
    blocks = [lines[:1]]
    for before, after in pairwise(lines):
        distance = before.bottom - after.bottom
        limit = ROW_SPACING * max(min(usual, 3 * after.height), after.height)
        if distance > limit or distance < 0 or differs_in_size(before, after):
            blocks.append([])
        blocks[-1].append(after)
    return blocks


def differs_in_size(first: Fragment, second: Fragment) -> bool:
    smaller, larger = sorted((first.height, second.height))
    return larger > MAX_SIZE_RATIO * smaller


class _Block(NamedTuple):
    """The measures of lines that stand close together."""

    is_prose: bool
    left: float  # of most lines
    right: float

    def starts_paragraph(self, before: Line, after: Line) -> bool:
        if before.is_table_row or after.is_table_row or list_item.match(after.text):
            return True
        if self.is_prose and continues_sentence(before.text, after.text):
            return False
        indent = INDENT * after.box.height
        is_indented = abs(after.box.left - self.left) > indent
        if is_indented and abs(after.box.left - before.box.left) > indent:
            return True
        return not is_full(before.box, after.box, self.right)


def _measure_block(boxes: list[Fragment], region_edge: float) -> _Block:
    is_prose = looks_like_prose(boxes)
    left = mode(round(box.left) for box in boxes)
    return _Block(is_prose, left, max(box.right for box in boxes) if is_prose else region_edge)


def _join_block(lines: list[Line], region_edge: float, compounds: frozenset[str]) -> Iterator[str]:
    """Yield the paragraphs of lines that stand close together."""
    block = _measure_block([line.box for line in lines], region_edge)
    paragraph = lines[0].text
    for before, after in pairwise(lines):
        if block.starts_paragraph(before, after):
            yield paragraph
            paragraph = after.text
        else:
            paragraph = join_lines(paragraph, after.text, compounds)
    yield paragraph
