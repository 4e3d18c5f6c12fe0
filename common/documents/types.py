"""The values that describe a document, its limits and its text."""

from dataclasses import dataclass
from enum import StrEnum


class DocumentType(StrEnum):
    """The type of a file by its content. Markdown is TEXT."""

    PDF = "pdf"
    DOCX = "docx"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The limits for reading one document; `.env.example` explains each."""

    max_bytes: int
    max_unpacked_bytes: int
    max_pages: int
    max_characters: int
    memory_mb: int
    seconds: int  # of CPU time


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """The text of a document, valid in PostgreSQL and JSON.

    Blank lines separate paragraphs. `omitted` says in words which parts of the document are
    missing, "" if none.
    """

    text: str
    omitted: str = ""
