"""Put the text of a page in the order of reading: columns, tables and paragraphs.

A page is cut into bands of rows that have gaps in common. The columns of a band of prose are read
one after the other, and those of a table row by row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple
from unicodedata import bidirectional

from common.documents.line_joining import find_compounds, is_continued, join_lines
from common.documents.page_fragments import Fragment, Row, group_rows, merge_row
from common.documents.paragraphs import (
    MIN_PROSE_LINES,
    Line,
    differs_in_size,
    is_full,
    is_wrapped,
    join_flow,
    looks_like_prose,
)
from common.documents.plain_text import starts_mid_sentence

MIN_GUTTER = 0.6  # of the height of a line
MAX_BAND_GAP = 2.5  # of the height of a line; a larger gap between rows ends a band
MAX_FIRST_GAP = 0.2  # the same, between rows of one piece and the first row of a table
MAX_SHIFT = 50  # points to the side, after which a row with a gap above it starts a band
MAX_DEPTH = 6  # of columns in columns
# These recognise columns that are read one after the other, and tables.
MIN_PROSE_RATIO = 0.6  # of the characters
MIN_ALIGNED_RATIO = 0.6  # of the rows of a column
MAX_ALIGNED_RATIO = 0.5  # of the rows of the shorter column
MIN_TABLE_ROWS = 3
MIN_TABLE_GAP = 0.25  # of the height of a line, more than usual between the rows of a table

Gap = tuple[float, float]
Cells = dict[int, Fragment]  # by the number of their column


class Band(NamedTuple):
    rows: list[Row]
    gutters: list[Gap]  # gaps of all rows, with text on both sides


def read_paragraphs(fragments: Sequence[Fragment]) -> list[str]:
    """Return the paragraphs, list items and table rows of a page, in the order of reading.

    A blank line before one of them is given as an empty text.
    """
    if _is_right_to_left(fragments):
        fragments = [replace(each, left=-each.right, right=-each.left) for each in fragments]
    compounds = find_compounds(fragment.text for fragment in fragments)
    paragraphs: list[str] = []
    for flow in _read_region(group_rows(fragments), MAX_DEPTH):
        texts = list(join_flow(flow, compounds))
        if paragraphs and texts and is_continued(paragraphs[-1], texts[0]):
            texts[0] = join_lines(paragraphs.pop(), texts[0], compounds)
        elif paragraphs:
            paragraphs.append("")
        paragraphs += texts
    return paragraphs


def _is_right_to_left(fragments: Sequence[Fragment]) -> bool:
    """Return whether most fragments are in Arabic, Hebrew or another such script."""
    count = sum(bidirectional(each.text[0]) in {"R", "AL"} for each in fragments)
    return count > len(fragments) / 2


def _read_region(rows: list[Row], depth: int) -> Iterator[list[Line]]:
    """Yield flows of lines, each one column of the region."""
    flow: list[Line] = []
    for band in _split_bands(rows):
        columns = _split_columns(band)
        if _is_justified_prose(band, columns):
            columns = [band.rows]
        if depth and _reads_by_column(band, columns):
            if flow:
                yield flow
            flow = []
            for column in columns:
                yield from _read_region(column, depth - 1)
        else:
            flow += _read_rows(band, columns)
    if flow:
        yield flow


def _split_bands(rows: list[Row]) -> Iterator[Band]:
    """Yield the longest runs of rows that have the same gutters."""
    band: list[Row] = []
    gaps: list[Gap] = []
    for row in rows:
        row_gaps = _find_gaps(row)
        common = _intersect(gaps, row_gaps, MIN_GUTTER * row[0].height) if band else row_gaps
        if band and _ends_band(band, row, _find_gutters(band, gaps), common):
            yield Band(band, _find_gutters(band, gaps))
            band, common = [], row_gaps
        band.append(row)
        gaps = common
    if band:
        yield Band(band, _find_gutters(band, gaps))


def _ends_band(band: list[Row], row: Row, gutters: list[Gap], common: list[Gap]) -> bool:
    """Return whether `row` has not all gutters of the band, or starts gutters of its own."""
    distance = band[-1][0].bottom - row[0].top
    max_gap = MAX_BAND_GAP if gutters or len(row) == 1 else MAX_FIRST_GAP
    if distance > max_gap * row[0].height or differs_in_size(band[-1][0], row[0]):
        return True
    shift = abs(row[0].left - band[-1][0].left)
    if not gutters and distance > MAX_FIRST_GAP * row[0].height and shift > MAX_SHIFT:
        return True
    remaining = _find_gutters([*band, row], common)
    if len(remaining) < len(gutters):
        return True
    return not remaining and len(row) > 1


def _find_gaps(row: Row) -> list[Gap]:
    """Return the free intervals of a row, from minus to plus infinity."""
    edges = [float("-inf")]
    reach = float("-inf")
    gaps: list[Gap] = []
    for fragment in row:
        if fragment.left > reach:
            gaps.append((edges[-1], fragment.left))
        reach = max(reach, fragment.right)
        edges.append(reach)
    return [*gaps, (reach, float("inf"))]


def _intersect(first: list[Gap], second: list[Gap], min_width: float) -> list[Gap]:
    common = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return [(left, right) for left, right in common if right - left >= min_width]


def _find_gutters(rows: list[Row], gaps: list[Gap]) -> list[Gap]:
    """Return the gaps that have text of `rows` on both sides."""
    left = min(row[0].left for row in rows)
    right = max(fragment.right for row in rows for fragment in row)
    return [gap for gap in gaps if gap[0] >= left and gap[1] <= right]


def _split_columns(band: Band) -> list[list[Row]]:
    """Return the rows of each column, without the rows that are empty in it."""
    columns: list[list[Row]] = [[] for _ in range(len(band.gutters) + 1)]
    for row in band.rows:
        for number, cell in _split_cells(row, band.gutters).items():
            columns[number].append(cell)
    return columns


def _split_cells(row: Row, gutters: list[Gap]) -> dict[int, Row]:
    """Return the fragments of a row by the number of their column."""
    cells: dict[int, Row] = {}
    for fragment in row:
        number = sum(fragment.left >= right for _, right in gutters)
        cells.setdefault(number, []).append(fragment)
    return cells


def _is_justified_prose(band: Band, columns: list[list[Row]]) -> bool:
    """Return whether the gaps of the band are wide spaces between words, by chance in one place.

    Columns of text and most of those in tables begin at the same place in all rows.
    """
    has_starts = all(
        _count_most(round(row[0].left) for row in column) >= MIN_ALIGNED_RATIO * len(column)
        for column in columns[1:]
    )
    return not has_starts and is_wrapped([merge_row(row) for row in band.rows])


def _count_most(values: Iterable[int]) -> int:
    """Return how often the most frequent value occurs."""
    return max(Counter(values).values())


def _reads_by_column(band: Band, columns: list[list[Row]]) -> bool:
    """Return whether the columns of a band are independent of each other."""
    if len(columns) < 2:
        return False
    lines = [[merge_row(row) for row in column] for column in columns]
    sizes = [sum(len(line.text) for line in column) for column in lines]
    prose = sum(size for size, column in zip(sizes, lines, strict=True) if looks_like_prose(column))
    if prose >= MIN_PROSE_RATIO * sum(sizes) and not _is_sparse(columns):
        return not _has_table_rows(band)
    return _is_unaligned(band, columns)


def _is_sparse(columns: list[list[Row]]) -> bool:
    """Return whether the first column has few rows, as the names beside long descriptions."""
    first, *others = (len(column) for column in columns)
    return len(columns) == 2 and first < max(others) / 2 and first > 1


def _is_unaligned(band: Band, columns: list[list[Row]]) -> bool:
    """Return whether the rows of the columns have different heights on the page."""
    shorter = sorted(len(column) for column in columns)[-2]
    shared = sum(len(_split_cells(row, band.gutters)) > 1 for row in band.rows)
    return shorter >= MIN_PROSE_LINES and shared < MAX_ALIGNED_RATIO * shorter


def _has_table_rows(band: Band) -> bool:
    """Return whether larger gaps divide all columns into the same cells."""
    groups = _split_table_rows(band.rows)
    return len(groups) >= MIN_TABLE_ROWS and all(
        _begins_cells(group, band.gutters) for group in groups
    )


def _begins_cells(rows: list[Row], gutters: list[Gap]) -> bool:
    """Return whether text begins in all columns of a table row, not in the middle of a sentence."""
    cells = [_split_cells(row, gutters) for row in rows]
    first = {number: cell for row in reversed(cells) for number, cell in row.items()}
    return len(first) > len(gutters) and not any(
        starts_mid_sentence(cell[0].text) for cell in first.values()
    )


def _split_table_rows(rows: list[Row]) -> list[list[Row]]:
    """Divide rows at gaps across all columns that are larger than usual."""
    gaps = []
    bottom = rows[0][0].top
    for row in rows:
        gaps.append(bottom - max(fragment.top for fragment in row))
        bottom = min(bottom, *(fragment.bottom for fragment in row))
    limit = median(gaps) + MIN_TABLE_GAP * median(row[0].height for row in rows)
    groups: list[list[Row]] = []
    for row, gap in zip(rows, gaps, strict=True):
        if not groups or gap > limit:
            groups.append([])
        groups[-1].append(row)
    return groups


def _read_rows(band: Band, columns: list[list[Row]]) -> list[Line]:
    """Return a line for each row, or for the rows of lines that are one row of a table."""
    if len(columns) < 2 or sum(len(row) > 1 for row in band.rows) < 2:
        return [Line(merge_row(row)) for row in band.rows]
    groups = _split_table_rows(band.rows)
    if len(groups) > 1 and all(_begins_cells(group, band.gutters) for group in groups):
        table = [_merge_cells(group, band.gutters) for group in groups]
    else:
        table = _read_table(band, columns)
    return [
        Line(merge_row([cells[number] for number in sorted(cells)]), is_table_row=True)
        for cells in table
    ]


def _merge_cells(rows: list[Row], gutters: list[Gap]) -> Cells:
    """Return the cells of one row of a table, whose lines are in `rows`."""
    merged: Cells = {}
    for row in rows:
        for number, cell in _split_cells(row, gutters).items():
            line = merge_row(cell)
            merged[number] = _append(merged[number], line) if number in merged else line
    return merged


def _read_table(band: Band, columns: list[list[Row]]) -> list[Cells]:
    """Return the rows of a table whose lines have equal distances."""
    right_edges = [max(merge_row(row).right for row in column) for column in columns]
    table: list[Cells] = []
    for row in band.rows:
        cells = _merge_cells([row], band.gutters)
        if table and _continues_cells(table[-1], cells, right_edges):
            for number, cell in cells.items():
                table[-1][number] = _append(table[-1][number], cell)
        else:
            table.append(cells)
    return table


def _continues_cells(before: Cells, cells: Cells, right_edges: list[float]) -> bool:
    """Return whether `cells` are the next lines of some cells of the row `before`."""
    return len(cells) < len(right_edges) and all(
        number in before
        and before[number].bottom - cell.top < cell.height / 2
        and is_full(before[number], cell, right_edges[number])
        for number, cell in cells.items()
    )


def _append(before: Fragment, after: Fragment) -> Fragment:
    return replace(
        before,
        text=join_lines(before.text, after.text),
        right=after.right,
        bottom=after.bottom,
    )
