"""Pieces of the lines of a page, with their places."""

from collections.abc import Iterable
from dataclasses import dataclass

MIN_ROW_OVERLAP = 0.5  # of the lower of two pieces that stand in one row


@dataclass(frozen=True, slots=True)
class Fragment:
    """Words that stand close together in one line, with the box around them.

    The coordinates are in points. They grow in the direction of reading and to the top of the page.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def is_beside(self, other: "Fragment") -> bool:
        """Return whether both stand in one row."""
        overlap = min(self.top, other.top) - max(self.bottom, other.bottom)
        return overlap >= MIN_ROW_OVERLAP * min(self.height, other.height)


Row = list[Fragment]


def group_rows(fragments: Iterable[Fragment]) -> list[Row]:
    """Return the rows from top to bottom, each in the direction of reading."""
    rows: list[Row] = []
    for fragment in sorted(fragments, key=lambda each: -(each.top + each.bottom)):
        if rows and rows[-1][0].is_beside(fragment):
            rows[-1].append(fragment)
        else:
            rows.append([fragment])
    for row in rows:
        row.sort(key=lambda each: each.left)
    return rows


def merge_row(row: Row) -> Fragment:
    """Return one fragment with the text of a row."""
    if len(row) == 1:
        return row[0]
    return Fragment(
        " ".join(fragment.text for fragment in row),
        row[0].left,
        min(fragment.bottom for fragment in row),
        max(fragment.right for fragment in row),
        max(fragment.top for fragment in row),
    )
