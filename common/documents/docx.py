"""The text of a Word document, in the order of reading. For `child.py` alone.

Parts are parsed as they are unpacked, and no tree is built: a tree takes a hundred times what
its file does. What was deleted is left out, a footnote follows the paragraph that calls it, and
a table's row is one line.
"""

import re
import zlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from common.documents import archive, plain_text
from common.documents.limits import too_long
from common.documents.types import Extracted, Limits, broken, no_text

BLOCK = 65_536  # bytes
BULLET = "- "
CELL = " | "

# What was deleted or moved away, what a paragraph was before, a field's code, and the second form
# of what is there for old programs too.
_SKIPPED = {"del", "moveFrom", "delText", "pPrChange", "instrText", "Fallback"}
_SIGNS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_LISTS = ("ListBullet", "ListNumber")

_notes = re.compile(r"word/(?:foot|end)notes\.xml")
_header = re.compile(r"word/header\d*\.xml")
_footer = re.compile(r"word/footer\d*\.xml")

Attributes = dict[str, str]


def read(stream: IO[bytes], most: Limits) -> Extracted:
    """The text of the document, its page headers first and its page footers last."""
    try:
        with archive.opened(stream) as document:
            text = plain_text.tidied(_text_of(document, most))
    except (expat.ExpatError, BadZipFile, zlib.error, EOFError):
        raise broken("DOCX") from None
    if not text:
        raise no_text()
    return Extracted(text)


def _text_of(document: ZipFile, most: Limits) -> str:
    names, reader = sorted(document.namelist()), Reader(most)
    for name in filter(_notes.fullmatch, names):
        reader.read(document, name)
    headers, footers = filter(_header.fullmatch, names), filter(_footer.fullmatch, names)
    parts = [*headers, archive.main_part(names), *footers]
    return "\n\n".join(dict.fromkeys(reader.read(document, name) for name in parts))


@dataclass(slots=True)
class Paragraph:
    pieces: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_item: bool = False


class Reader:
    """Reads one part after another, footnotes before what refers to them.

    What goes into the text is counted as it is found, so that one that is too long is not read to
    its end. What divides blocks counts as the least that it may be: `child.py` measures the whole.
    """

    def __init__(self, most: Limits) -> None:
        self._most, self._room = most, most.max_characters
        self._notes: dict[str, str] = {}
        self._openers = {
            "p": self._open_paragraph,
            "t": self._open_text,
            "r": self._open_run,
            "tr": self._open_row,
            "tc": self._open_cell,
            "numId": self._number,
            "pStyle": self._style,
        }
        self._openers |= dict.fromkeys(_SIGNS, self._sign)
        self._openers |= dict.fromkeys(("footnote", "endnote"), self._open_note)
        self._openers |= dict.fromkeys(("footnoteReference", "endnoteReference"), self._refer)
        self._closers = {
            "p": self._close_paragraph,
            "t": self._close_text,
            "r": self._close_run,
            "tr": self._close_row,
            "tc": self._close_cell,
        }
        self._closers |= dict.fromkeys(("footnote", "endnote"), self._close_note)

    def read(self, document: ZipFile, name: str) -> str:
        """The text of a part; that of notes is kept for what refers to them."""
        self._blocks: list[list[str]] = [[]]  # of the part, and of each open cell and note
        self._rows: list[list[list[str]]] = []  # the cells of each open row
        self._paragraphs: list[Paragraph] = []  # a text box stands within one
        self._note_names: list[str] = []
        self._skipped = self._runs = self._texts = 0  # how many of each are open
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._write
        parser.StartDoctypeDeclHandler = _refuse_doctype
        with document.open(name) as part:
            while block := part.read(BLOCK):
                parser.Parse(block)
        parser.Parse(b"", True)
        return _joined(self._blocks[0])

    def _open(self, name: str, attributes: Attributes) -> None:
        tag = name.rpartition(" ")[2]
        if self._skipped or tag in _SKIPPED:
            self._skipped += 1
        elif opener := self._openers.get(tag):
            opener(tag, attributes)

    def _close(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif closer := self._closers.get(name.rpartition(" ")[2]):
            closer()

    def _write(self, text: str) -> None:
        if not self._texts or not self._paragraphs or self._skipped:
            return
        self._paragraphs[-1].pieces.append(self._counted(text))

    def _counted(self, text: str) -> str:
        """`text`, if there is room for it."""
        self._room -= len(text)
        if self._room < 0:
            raise too_long(self._most)
        return text

    def _open_text(self, tag: str, attributes: Attributes) -> None:
        self._texts += 1

    def _close_text(self) -> None:
        self._texts -= 1

    def _open_run(self, tag: str, attributes: Attributes) -> None:
        self._runs += 1

    def _close_run(self) -> None:
        self._runs -= 1

    def _sign(self, tag: str, attributes: Attributes) -> None:
        """Outside a run, a "tab" is a place where tabs stop."""
        if self._runs and self._paragraphs:
            self._paragraphs[-1].pieces.append(self._counted(_SIGNS[tag]))

    def _open_paragraph(self, tag: str, attributes: Attributes) -> None:
        self._paragraphs.append(Paragraph())

    def _close_paragraph(self) -> None:
        paragraph = self._paragraphs.pop()
        text = "".join(paragraph.pieces).strip()
        if text and paragraph.is_item:
            text = self._counted(BULLET) + text
        notes = (self._notes.pop(name, "") for name in paragraph.notes)  # once, if named twice
        for block in filter(None, [text, *notes]):
            self._add(block)

    def _add(self, *blocks: str) -> None:
        """To what is open. Among themselves, `blocks` have been counted."""
        if self._blocks[-1]:
            self._counted("\n")  # the least that divides them from those before
        self._blocks[-1] += blocks

    def _number(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs:
            self._paragraphs[-1].is_item = _value(attributes, "val") != "0"

    def _style(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs and _value(attributes, "val").startswith(_LISTS):
            self._paragraphs[-1].is_item = True

    def _open_row(self, tag: str, attributes: Attributes) -> None:
        self._rows.append([])

    def _close_row(self) -> None:
        cells = self._rows.pop()
        if len(cells) == 1:  # a frame around a text is made as a table too
            self._add(*cells[0])
        elif cells:
            self._add(CELL.join(" ".join(cell) for cell in cells))

    def _open_cell(self, tag: str, attributes: Attributes) -> None:
        self._blocks.append([])

    def _close_cell(self) -> None:
        cell = self._blocks.pop()
        if cell and self._rows:
            if self._rows[-1]:
                self._counted(CELL)
            self._rows[-1].append(cell)

    def _refer(self, tag: str, attributes: Attributes) -> None:
        if self._paragraphs:
            kind = tag.removesuffix("Reference")
            self._paragraphs[-1].notes.append(kind + _value(attributes, "id"))

    def _open_note(self, tag: str, attributes: Attributes) -> None:
        self._note_names.append(tag + _value(attributes, "id"))
        self._blocks.append([])

    def _close_note(self) -> None:
        self._notes[self._note_names.pop()] = _joined(self._blocks.pop())


def _refuse_doctype(*declaration: object) -> None:
    """Word writes none; entities that grow need one."""
    raise broken("DOCX")


def _value(attributes: Attributes, name: str) -> str:
    found = (value for key, value in attributes.items() if key.rpartition(" ")[2] == name)
    return next(found, "")


def _joined(blocks: list[str]) -> str:
    """A blank line between paragraphs and none within a list or a table."""
    return "".join(
        before + ("\n" if _line_of(before) == _line_of(after) != "" else "\n\n")
        for before, after in pairwise([*blocks, ""])
    ).strip()


def _line_of(block: str) -> str:
    """What `block` is a line of, by its mark; "" if it is a paragraph."""
    return BULLET if block.startswith(BULLET) else CELL if CELL in block else ""
