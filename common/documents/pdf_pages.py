"""Read the pages of a PDF by PDFium, as fragments of text with their places."""

import math
from collections import Counter
from collections.abc import Iterator
from ctypes import POINTER, byref, c_ushort, cast, create_string_buffer
from itertools import groupby
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from common.documents.page_fragments import Fragment

LINE_END_HYPHEN = 0x02  # PDFium's sign for a hyphen, soft or hard, at which a word is broken
WORD_GAP = 0.7  # of the height of a line; a wider gap ends a fragment
MAX_BACKSPACE = 0.5  # of the height of a line; a word further back starts a fragment
MIN_TEXT_WIDTH = 0.01  # points; PDFium leaves out narrower texts
SHEAR = 0.001
MAX_FORM_DEPTH = 8
MAX_UNICODE = 0x10FFFF
NOT_SHOWN_FLAGS = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
MAX_SKEW = 0.05  # of a quarter turn


class Word(NamedTuple):
    text: str
    left: float
    bottom: float
    right: float
    top: float
    quarter_turns: int  # of its direction, counter-clockwise; -1 if askew


class PageContent(NamedTuple):
    """What stands on a page.

    `box` is the page itself. `turned` are texts in other directions than most. `guessed_ratio` is
    the part of the characters that the PDF does not identify. `is_incomplete` if PDFium cannot
    read all texts, `is_picture` if there is a picture and no text, as in a scan.
    """

    fragments: list[Fragment]
    box: Fragment
    turned: list[str]
    guessed_ratio: float
    is_incomplete: bool
    is_picture: bool


def read_page(document: pypdfium2.PdfDocument, number: int) -> PageContent:
    """Return the content of a page, with the values of forms and notes drawn on it."""
    page = document[number]
    notes = list(_read_undrawn_notes(page))
    if pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS:
        page.close()
        page = document[number]
    unreadable = _widen_vertical_texts(page)
    has_picture = any(page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=MAX_FORM_DEPTH))
    text_page = page.get_textpage()
    try:
        words, guessed_ratio = _read_words(text_page)
        box = _read_box(page)
    finally:
        text_page.close()
        page.close()
    words += notes
    direction = _find_direction(words)
    straight = [_turn(word, direction) for word in words if word.quarter_turns == direction]
    return PageContent(
        _join_words(straight),
        Fragment(*_turn(box, direction)[:5]),
        _join_turned_words(words, direction),
        guessed_ratio,
        is_incomplete=unreadable > len(words),
        is_picture=has_picture and not words,
    )


def _read_undrawn_notes(page: pypdfium2.PdfPage) -> Iterator[Word]:
    """Yield the texts of FreeText notes without an appearance.

    PDFium creates appearances only in a document with a form.
    """
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        note = pdfium.FPDFPage_GetAnnot(page, index)
        try:
            if _is_undrawn_note(note) and (text := " ".join(_read_contents(note).split())):
                box = pdfium.FS_RECTF()
                pdfium.FPDFAnnot_GetRect(note, byref(box))
                yield Word(text, box.left, box.bottom, box.right, box.top, 0)
        finally:
            pdfium.FPDFPage_CloseAnnot(note)


def _is_undrawn_note(note: pdfium.FPDF_ANNOTATION) -> bool:
    return (
        pdfium.FPDFAnnot_GetSubtype(note) == pdfium.FPDF_ANNOT_FREETEXT
        and not pdfium.FPDFAnnot_HasKey(note, b"AP")
        and not pdfium.FPDFAnnot_GetFlags(note) & NOT_SHOWN_FLAGS
    )


def _read_contents(note: pdfium.FPDF_ANNOTATION) -> str:
    size = pdfium.FPDFAnnot_GetStringValue(note, b"Contents", None, 0)
    buffer = create_string_buffer(size)
    pdfium.FPDFAnnot_GetStringValue(note, b"Contents", cast(buffer, POINTER(c_ushort)), size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")


def _read_box(page: pypdfium2.PdfPage) -> Word:
    left, bottom, right, top = page.get_bbox()
    return Word("", left, bottom, right, top, 0)


def _widen_vertical_texts(page: pypdfium2.PdfPage) -> int:
    """Shear vertical texts of no width, which PDFium would leave out.

    They are in fonts that are not embedded. Return how many single characters have no height
    either and stand below each other: they cannot be read.
    """
    unreadable, last = 0, (0.0, 0.0)
    for text in page.get_objects([pdfium.FPDF_PAGEOBJ_TEXT], max_depth=MAX_FORM_DEPTH):
        left, bottom, right, top = text.get_bounds()
        if right - left >= MIN_TEXT_WIDTH:
            continue
        pdfium.FPDFPageObj_Transform(text, 1, 0, SHEAR, 1, -SHEAR * bottom, 0)
        if top - bottom < MIN_TEXT_WIDTH:
            unreadable += abs(left - last[0]) < MIN_TEXT_WIDTH and bottom < last[1]
            last = left, bottom
    return unreadable


def _read_words(text_page: pypdfium2.PdfTextPage) -> tuple[list[Word], float]:
    """Return the words in PDFium's order and the ratio of characters it had to guess."""
    words, guessed, total = [], 0, 0
    for first, text in _split_words(text_page):
        words.append(_locate_word(text_page, first, text))
        guessed += len(text) * (pdfium.FPDFText_HasUnicodeMapError(text_page, first) == 1)
        total += len(text)
    return words, guessed / max(total, 1)


def _split_words(text_page: pypdfium2.PdfTextPage) -> Iterator[tuple[int, str]]:
    """Yield the index of the first character and the text of each word."""
    get_code, first, word = pdfium.FPDFText_GetUnicode, 0, ""
    for index in range(text_page.count_chars()):
        code = get_code(text_page, index)
        character = chr(code) if code <= MAX_UNICODE else "\ufffd"
        if character.isspace() or code == LINE_END_HYPHEN:
            if code == LINE_END_HYPHEN and _is_hyphen(text_page, index):
                word += "-"
            if word:
                yield first, word
            word, first = "", index + 1
        else:
            word += character
    if word:
        yield first, word


def _is_hyphen(text_page: pypdfium2.PdfTextPage, index: int) -> bool:
    return pdfium.FPDFText_IsHyphen(text_page, index) == 1


def _locate_word(text_page: pypdfium2.PdfTextPage, first: int, text: str) -> Word:
    a, b = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, first, byref(a))
    pdfium.FPDFText_GetLooseCharBox(text_page, first + len(text) - 1, byref(b))
    left, right = min(a.left, b.left), max(a.right, b.right)
    bottom, top = min(a.bottom, b.bottom), max(a.top, b.top)
    turns = pdfium.FPDFText_GetCharAngle(text_page, first) / (math.pi / 2)  # clockwise
    quarter_turns = -round(turns) % 4 if abs(turns - round(turns)) < MAX_SKEW else -1
    if quarter_turns == 0 and len(text) > 1 and a.bottom - b.bottom > (a.top - a.bottom) / 2:
        # Vertical writing: the box of a character in a font that is not embedded is too wide.
        right, quarter_turns = min(right, left + a.top - a.bottom), 3
    # PDFium counts a character beyond the Basic Multilingual Plane as two.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Word(text, left, bottom, right, top, quarter_turns)


def _find_direction(words: list[Word]) -> int:
    """Return the direction of most characters, in quarter turns."""
    counts = Counter[int]()
    for word in words:
        counts[word.quarter_turns] += len(word.text)
    (direction, _), *_ = counts.most_common(1) or [(0, 0)]
    return direction


def _join_turned_words(words: list[Word], direction: int) -> list[str]:
    """Return texts of the words that stand in another direction."""
    runs = groupby(words, lambda word: word.quarter_turns != direction)
    return [" ".join(word.text for word in run) for is_turned, run in runs if is_turned]


def _turn(word: Word, quarter_turns: int) -> Word:
    """Return `word` in coordinates in which its direction is horizontal."""
    text, left, bottom, right, top, _ = word
    match quarter_turns:
        case 1:
            return Word(text, bottom, -right, top, -left, 0)
        case 2:
            return Word(text, -right, -top, -left, -bottom, 0)
        case 3:
            return Word(text, -top, left, -bottom, right, 0)
    return word


def _join_words(words: list[Word]) -> list[Fragment]:
    """Join words that follow each other closely in one line."""
    fragments: list[Fragment] = []
    for text, left, bottom, right, top, _ in words:
        word = Fragment(text, left, bottom, right, top)
        if fragments and _follows(fragments[-1], word):
            fragments[-1] = _extend(fragments[-1], word)
        else:
            fragments.append(word)
    return fragments


def _follows(line: Fragment, word: Fragment) -> bool:
    """Return whether `word` is the next one, to the right or (in Arabic) to the left."""
    gap = max(word.left - line.right, line.left - word.right)
    height = max(line.height, word.height)
    return line.is_beside(word) and -MAX_BACKSPACE * height < gap < WORD_GAP * height


def _extend(line: Fragment, word: Fragment) -> Fragment:
    return Fragment(
        f"{line.text} {word.text}",
        min(line.left, word.left),
        min(line.bottom, word.bottom),
        max(line.right, word.right),
        max(line.top, word.top),
    )
