"""Parse the text of a Word document. Runs only in `parser_process`.

Parts are parsed while they are unpacked and no tree is built: a tree takes a hundred times the
size of its file. Deleted text is left out, a footnote follows the paragraph that refers to it,
and a table row becomes one line, in which each cell keeps its column.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from common.documents import alt_chunks, plain_text, word_archive
from common.documents.errors import damaged_error, no_text_error, too_long_error
from common.documents.types import DocumentLimits, ExtractedText

READ_BYTES = 65_536
BULLET = "- "
CELL_SEPARATOR = " | "

# Deleted and moved text, earlier versions of a paragraph, field codes, and the copy of a drawing
# for old programs.
_SKIPPED_TAGS = {"del", "moveFrom", "delText", "pPrChange", "instrText", "Fallback"}
_CHARACTERS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_LIST_STYLES = ("ListBullet", "ListNumber")

_notes_part = re.compile(r"word/(?:foot|end)notes\.xml")
_header_part = re.compile(r"word/header\d*\.xml")
_footer_part = re.compile(r"word/footer\d*\.xml")
_diagram_part = re.compile(r"word/diagrams/data\d*\.xml")
_UNREAD_PARTS = {  # what `omitted` says of parts that are not read
    "comments": re.compile(r"word/comments\.xml"),
    "charts": re.compile(r"word/charts/chart[^/]*\.xml"),
    "embedded files": re.compile(r"word/embeddings/.+"),
}
MAX_COLUMNS = 63  # of a table in Word

Attributes = dict[str, str]


def parse_docx(stream: IO[bytes], limits: DocumentLimits) -> ExtractedText:
    """Return the text of the document, page headers first and page footers last."""
    try:
        with word_archive.open_archive(stream) as archive:
            main_part = word_archive.find_main_part(archive.namelist())
            chunks = alt_chunks.read_chunks(archive, main_part, limits, _parse_nested)
            text = plain_text.normalize(_parse_parts(archive, limits, chunks))
            omitted = _describe_omitted(archive, chunks)
    except (expat.ExpatError, BadZipFile, zlib.error, EOFError):
        raise damaged_error("DOCX") from None
    if not text:
        raise no_text_error(f"it has {omitted}" if omitted else "")
    return ExtractedText(text, omitted)


def _parse_nested(archive: ZipFile, limits: DocumentLimits) -> str:
    """Return the text of a document that is a chunk of another one."""
    main_part = word_archive.find_main_part(archive.namelist())
    return _parse_parts(archive, limits, alt_chunks.read_chunks(archive, main_part, limits, None))


def _parse_parts(archive: ZipFile, limits: DocumentLimits, chunks: dict[str, str | None]) -> str:
    names, parser = sorted(archive.namelist()), PartParser(limits, chunks)
    for name in filter(_notes_part.fullmatch, names):
        parser.parse(archive, name)
    main_part = word_archive.find_main_part(names)
    others = (_header_part, _diagram_part, _footer_part)
    headers, diagrams, footers = (list(filter(part.fullmatch, names)) for part in others)
    parts = [*headers, main_part, *diagrams, *footers]
    return "\n\n".join(dict.fromkeys(parser.parse(archive, name) for name in parts))


def _describe_omitted(archive: ZipFile, chunks: dict[str, str | None]) -> str:
    """Return which parts of the document are not in its text, "" if none."""
    unread = [
        description
        for description, pattern in _UNREAD_PARTS.items()
        if any(map(pattern.fullmatch, archive.namelist()))
    ]
    if None in chunks.values():
        unread.append("inserted files of a type that is not supported")
    return ", ".join(unread)


@dataclass(slots=True)
class Paragraph:
    """A paragraph that is being parsed."""

    texts: list[str] = field(default_factory=list)
    note_ids: list[str] = field(default_factory=list)
    is_list_item: bool = False


@dataclass(slots=True)
class Row:
    """A table row that is being parsed."""

    cells: list[list[str]] = field(default_factory=list)  # the blocks of each
    empty_columns: int = 0  # before the next cell
    span: int = 1  # of the open cell, in columns


class PartParser:
    """Parses the parts of a document, footnotes before their references.

    Characters are counted as they are found, so that parsing stops at the limit. A separator
    counts as its shortest form; `parser_process` checks the length of the whole text.
    """

    def __init__(self, limits: DocumentLimits, chunks: Mapping[str, str | None]) -> None:
        self._limits, self._chars_left = limits, limits.max_characters
        self._chunks = chunks  # texts by relation
        self._notes: dict[str, str] = {}  # text by id
        self._start_handlers = {
            "p": self._start_paragraph,
            "t": self._start_text,
            "r": self._start_run,
            "tr": self._start_row,
            "tc": self._start_cell,
            "gridBefore": self._skip_columns,
            "gridSpan": self._set_span,
            "altChunk": self._add_chunk,
            "numId": self._set_numbering,
            "pStyle": self._set_style,
        }
        self._start_handlers |= dict.fromkeys(_CHARACTERS, self._add_character)
        self._start_handlers |= dict.fromkeys(("footnote", "endnote"), self._start_note)
        self._start_handlers |= dict.fromkeys(
            ("footnoteReference", "endnoteReference"), self._add_note_reference
        )
        self._end_handlers = {
            "p": self._end_paragraph,
            "t": self._end_text,
            "r": self._end_run,
            "tr": self._end_row,
            "tc": self._end_cell,
        }
        self._end_handlers |= dict.fromkeys(("footnote", "endnote"), self._end_note)

    def parse(self, archive: ZipFile, name: str) -> str:
        """Return the text of a part. The text of notes is kept for their references."""
        self._blocks: list[list[str]] = [[]]  # of the part, and of each open cell and note
        self._rows: list[Row] = []  # those open
        self._paragraphs: list[Paragraph] = []  # those open; a text box is inside a paragraph
        self._open_note_ids: list[str] = []
        self._open_skipped = self._open_runs = self._open_texts = 0  # numbers of open elements
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start_element
        parser.EndElementHandler = self._end_element
        parser.CharacterDataHandler = self._add_text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        with archive.open(name) as part:
            while data := part.read(READ_BYTES):
                parser.Parse(data)
        parser.Parse(b"", True)
        return _join_blocks(self._blocks[0])

    def _start_element(self, name: str, attributes: Attributes) -> None:
        tag = name.rpartition(" ")[2]
        if self._open_skipped or tag in _SKIPPED_TAGS:
            self._open_skipped += 1
        elif handler := self._start_handlers.get(tag):
            handler(tag, attributes)

    def _end_element(self, name: str) -> None:
        if self._open_skipped:
            self._open_skipped -= 1
        elif handler := self._end_handlers.get(name.rpartition(" ")[2]):
            handler()

    def _add_text(self, text: str) -> None:
        if not self._open_texts or not self._paragraphs or self._open_skipped:
            return
        self._paragraphs[-1].texts.append(self._count(text))

    def _count(self, text: str) -> str:
        """Return `text`, or raise `DocumentRefused` if it exceeds the limit of characters."""
        self._chars_left -= len(text)
        if self._chars_left < 0:
            raise too_long_error(self._limits)
        return text

    def _start_text(self, tag: str, attributes: Attributes) -> None:
        self._open_texts += 1

    def _end_text(self) -> None:
        self._open_texts -= 1

    def _start_run(self, tag: str, attributes: Attributes) -> None:
        self._open_runs += 1

    def _end_run(self) -> None:
        self._open_runs -= 1

    def _add_character(self, tag: str, attributes: Attributes) -> None:
        """Add the character of an element. Outside runs, "tab" defines a tab stop."""
        if self._open_runs and self._paragraphs:
            self._paragraphs[-1].texts.append(self._count(_CHARACTERS[tag]))

    def _start_paragraph(self, tag: str, attributes: Attributes) -> None:
        self._paragraphs.append(Paragraph())

    def _end_paragraph(self) -> None:
        paragraph = self._paragraphs.pop()
        text = "".join(paragraph.texts).strip()
        if text and paragraph.is_list_item:
            text = self._count(BULLET) + text
        notes = (self._notes.pop(note_id, "") for note_id in paragraph.note_ids)  # each once
        for block in filter(None, [text, *notes]):
            self._add_blocks(block)

    def _add_blocks(self, *blocks: str) -> None:
        """Add `blocks`, with counted separators, to the open part, cell or note."""
        if self._blocks[-1]:
            self._count("\n")  # the shortest separator from the blocks before
        self._blocks[-1] += blocks

    def _set_numbering(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs:
            self._paragraphs[-1].is_list_item = _get_attribute(attributes, "val") != "0"

    def _set_style(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs and _get_attribute(attributes, "val").startswith(_LIST_STYLES):
            self._paragraphs[-1].is_list_item = True

    def _start_row(self, tag: str, attributes: Attributes) -> None:
        self._rows.append(Row())

    def _end_row(self) -> None:
        row = self._rows.pop()
        if len(row.cells) == 1:  # a frame around a text is a table too
            self._add_blocks(*row.cells[0])
        elif any(row.cells):
            separators = [self._count(CELL_SEPARATOR) for _ in row.cells[1:]]
            # A table in a cell must not look like cells of this one.
            cells = [" ".join(cell).replace(CELL_SEPARATOR, " ") for cell in row.cells]
            pairs = zip(cells, ["", *separators], strict=True)
            self._add_blocks("".join(separator + cell for cell, separator in pairs))

    def _skip_columns(self, tag: str, attributes: Attributes) -> None:
        """Add the columns before the first cell of a row, which starts further right."""
        if self._rows:
            self._rows[-1].empty_columns = _get_number(attributes)

    def _set_span(self, tag: str, attributes: Attributes) -> None:
        """Note how many columns the open cell takes."""
        if self._rows:
            self._rows[-1].span = max(1, _get_number(attributes))

    def _start_cell(self, tag: str, attributes: Attributes) -> None:
        self._blocks.append([])

    def _end_cell(self) -> None:
        """Add a cell, also an empty one, after the columns that the cells before it take."""
        cell = self._blocks.pop()
        if self._rows:
            row = self._rows[-1]
            row.cells += [[] for _ in range(row.empty_columns)] + [cell]
            row.empty_columns, row.span = row.span - 1, 1

    def _add_chunk(self, tag: str, attributes: Attributes) -> None:
        text = self._chunks.get(_get_attribute(attributes, "id")) or ""
        for block in filter(None, text.split("\n\n")):
            self._add_blocks(self._count(block))

    def _add_note_reference(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs:
            note_id = tag.removesuffix("Reference") + _get_attribute(attributes, "id")
            self._paragraphs[-1].note_ids.append(note_id)

    def _start_note(self, tag: str, attributes: Attributes) -> None:
        self._open_note_ids.append(tag + _get_attribute(attributes, "id"))
        self._blocks.append([])

    def _end_note(self) -> None:
        self._notes[self._open_note_ids.pop()] = _join_blocks(self._blocks.pop())


def _refuse_doctype(*declaration: object) -> None:
    """Refuse a DOCTYPE: Word writes none, and entities that multiply need one."""
    raise damaged_error("DOCX")


def _get_attribute(attributes: Attributes, name: str) -> str:
    """Return the attribute `name` of any namespace, or ""."""
    values = (value for key, value in attributes.items() if key.rpartition(" ")[2] == name)
    return next(values, "")


def _get_number(attributes: Attributes) -> int:
    """Return the attribute `val`, a number of columns."""
    value = _get_attribute(attributes, "val")
    return min(int(value), MAX_COLUMNS) if value.isdecimal() and len(value) < 10 else 0


def _join_blocks(blocks: list[str]) -> str:
    """Return `blocks` with blank lines between them, except in lists and tables."""
    return "".join(
        block + ("\n" if _line_marker(block) == _line_marker(after) != "" else "\n\n")
        for block, after in pairwise([*blocks, ""])
    ).strip()


def _line_marker(block: str) -> str:
    """Return the marker of a list item or of a table row, "" for a paragraph."""
    return BULLET if block.startswith(BULLET) else CELL_SEPARATOR if CELL_SEPARATOR in block else ""
