"""Leave out what stands at the head or foot of the pages of a document again and again."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from common.documents.page_fragments import Fragment, Row, group_rows, merge_row

MARGIN = 0.17  # of the height of a page, at its top and bottom
MAX_ROWS = 3  # at the head of a page, and at its foot
MIN_PAGES = 3  # on which a row is repeated; two if a document has no more
MIN_GAP = 0.9  # of the height of a row, between it and the text of the page
MAX_POSITION_DIFFERENCE = 3  # points, between the pages
MAX_PAGE_NUMBER_WORDS = 4  # "Page 3 of 12"
MAX_CHARS = 200

PAGE_KEY = 1_000_000  # larger than the number of any page
SAME_NUMBERS_KEY = -1

_NUMBER = r"\d+|\b[ivxlc]+\b"
_number = re.compile(_NUMBER)
# A page number stands at an end of its row ("3 of 12" too) or behind the word "page".
_page_numbers = (
    re.compile(rf"^\W*({_NUMBER})"),
    re.compile(rf"({_NUMBER})(?:\W+\w{{1,3}}\W+\d+|/\d+)?\W*$"),
    re.compile(rf"\b(?:page|seite|side|sida|sivu|strona|p[aá]gina|pagina|p|s|стр)\W*({_NUMBER})"),
)
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class _Candidate(NamedTuple):
    page: int
    row: Row
    box: Fragment
    is_apart: bool  # a gap divides it from the text of the page


class Page(Protocol):
    """A page: its text and, as a box, its size."""

    @property
    def fragments(self) -> list[Fragment]: ...
    @property
    def box(self) -> Fragment: ...


def remove_running_heads(pages: Sequence[Page]) -> list[list[Fragment]]:
    """Return the fragments of the pages without heads, feet and page numbers.

    These are rows at the same height of several pages that have the same words, and numbers that
    are the same or count the pages. Some text of each page is kept.
    """
    groups: dict[str, list[_Candidate]] = defaultdict(list)
    for number, page in enumerate(pages):
        for candidate in _list_candidates(number, page):
            groups[_make_key(candidate.box.text)].append(candidate)
    removed = _find_repeated(groups, min(MIN_PAGES, max(2, len(pages))))
    return [
        [fragment for fragment in page.fragments if id(fragment) not in removed] for page in pages
    ]


def _find_repeated(groups: dict[str, list[_Candidate]], min_pages: int) -> set[int]:
    """Return the identities of the fragments in rows that are repeated."""
    return {
        id(fragment)
        for group in groups.values()
        for cluster in _cluster_by_height(group)
        for candidate in _select_repeated(cluster, min_pages)
        for fragment in candidate.row
    }


def _list_candidates(number: int, page: Page) -> Iterator[_Candidate]:
    """Yield the outermost rows in the margins of a page, up to the first larger gap."""
    rows = group_rows(page.fragments)
    margin = MARGIN * page.box.height
    head = [row for row in rows if row[0].bottom > page.box.top - margin]
    foot = [row for row in rows if row[0].top < page.box.bottom + margin]
    yield from _list_outermost(number, head, rows)
    yield from _list_outermost(number, foot[::-1], rows[::-1])


def _list_outermost(number: int, margin_rows: list[Row], rows: list[Row]) -> Iterator[_Candidate]:
    """Yield the rows of one margin. `rows` are all of the page, which are never all yielded."""
    boxes = [merge_row(row) for row in rows]
    last = min(len(margin_rows), MAX_ROWS, len(rows) - 1)
    apart = next((n for n in range(1, last + 1) if _has_gap(boxes[n - 1], boxes[n])), 0)
    for row, box in zip(margin_rows[: apart or min(1, last)], boxes, strict=False):
        if len(box.text) <= MAX_CHARS:
            yield _Candidate(number, row, box, is_apart=apart > 0)


def _has_gap(first: Fragment, second: Fragment) -> bool:
    gap = max(first.bottom - second.top, second.bottom - first.top)
    return gap > MIN_GAP * min(first.height, second.height)


def _make_key(text: str) -> str:
    """Return the words of a row without numbers, whose place differs on left and right pages."""
    return " ".join(_number.sub(" ", text.lower()).split())


def _cluster_by_height(candidates: list[_Candidate]) -> list[list[_Candidate]]:
    """Divide rows of the same words where their height on the page differs."""
    clusters: list[list[_Candidate]] = []
    for candidate in sorted(candidates, key=lambda each: each.box.bottom):
        last = clusters[-1][-1].box.bottom if clusters else float("-inf")
        if candidate.box.bottom - last > MAX_POSITION_DIFFERENCE:
            clusters.append([])
        clusters[-1].append(candidate)
    return clusters


def _select_repeated(cluster: list[_Candidate], min_pages: int) -> list[_Candidate]:
    """Return the rows of `cluster` that are heads: they repeat, and their numbers count pages."""
    groups: dict[tuple[int, ...], list[_Candidate]] = defaultdict(list)
    for candidate in cluster:
        for key in _list_number_keys(candidate):
            groups[key].append(candidate)
    return [
        candidate
        for key, group in groups.items()
        if len({candidate.page for candidate in group}) >= min_pages
        and any(_is_clear(candidate, key) for candidate in group)
        for candidate in group
    ]


def _is_clear(candidate: _Candidate, key: tuple[int, ...]) -> bool:
    """Return whether a row is apart from the text, or its key alone tells that it is a head."""
    has_equal_numbers = key[0] == SAME_NUMBERS_KEY and len(key) > 1
    return candidate.is_apart or not has_equal_numbers


def _list_number_keys(candidate: _Candidate) -> list[tuple[int, ...]]:
    """Return keys that are equal for rows with the same numbers, or one that counts the pages."""
    text = candidate.box.text.lower()
    numbers = [_parse_number(number) for number in _number.findall(text)]
    is_short = len(text.split()) <= MAX_PAGE_NUMBER_WORDS
    keys: list[tuple[int, ...]] = [(SAME_NUMBERS_KEY, *sorted(numbers))]
    if candidate.is_apart or is_short:
        matches = filter(None, (pattern.search(text) for pattern in _page_numbers))
        for number in {_parse_number(match[1]) for match in matches}:
            others = list(numbers)
            others.remove(number)
            keys.append((PAGE_KEY + number - candidate.page, *sorted(others)))
    return keys


def _parse_number(text: str) -> int:
    """Return the value of a decimal or Roman number."""
    if text.isdecimal():
        return int(text[:9])
    values = [_ROMAN_DIGITS[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(
        -value if value < after else value for value, after in zip(values, following, strict=True)
    )
