from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a file is by its content, by which Markdown is plain text."""

    PDF = "pdf"
    DOCX = "docx"
    TEXT = "text"


class DocumentRefused(Exception):
    """Final: the same file would be refused again. Its message is a sentence for the sender.

    `code` is one of empty, too_large, unsupported, encrypted, broken, unpacked_too_large,
    too_many_members, too_many_pages, too_long, too_expensive, no_text.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message, self.code = message, code


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may be and cost; `.env.example` explains each."""

    max_bytes: int
    max_unpacked_bytes: int
    max_pages: int
    max_characters: int
    memory_mb: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a document, fit for PostgreSQL and JSON, a blank line between paragraphs.

    `omitted` says in words what of the document is not in it, "" when nothing is.
    """

    text: str
    omitted: str = ""


def unsupported() -> DocumentRefused:
    return DocumentRefused("It is none of PDF, DOCX, plain text and Markdown.", "unsupported")


def broken(kind: str) -> DocumentRefused:
    return DocumentRefused(f"It is a damaged {kind} file.", "broken")


def no_text(why: str = "") -> DocumentRefused:
    return DocumentRefused(f"There is no text in it{why and f': {why}'}.", "no_text")


def too_expensive() -> DocumentRefused:
    return DocumentRefused(
        "It takes more memory or time to read than a document may.", "too_expensive"
    )
