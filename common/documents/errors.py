"""Refusals of documents. Their messages are meant for the sender of the file."""

from common.documents.types import DocumentLimits


class DocumentRefused(Exception):
    """A final refusal: the same file would be refused again.

    `message` is a sentence for the sender. `code` is one of empty, too_large, unsupported,
    encrypted, broken, unpacked_too_large, too_many_members, too_many_pages, too_long,
    too_expensive, no_text, unreadable.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message, self.code = message, code


def unsupported_error() -> DocumentRefused:
    return DocumentRefused(
        "This file type is not supported. Send PDF, DOCX, plain text or Markdown.", "unsupported"
    )


def unknown_encoding_error() -> DocumentRefused:
    return DocumentRefused(
        "The encoding of the text is unknown. Save the file as UTF-8 and send it again.",
        "unsupported",
    )


def damaged_error(type_name: str) -> DocumentRefused:
    return DocumentRefused(f"The {type_name} file is damaged.", "broken")


def no_text_error(hint: str = "") -> DocumentRefused:
    return DocumentRefused(f"The file contains no text{hint and f': {hint}'}.", "no_text")


def unreadable_error() -> DocumentRefused:
    return DocumentRefused(
        "The text cannot be read: the fonts of the PDF do not say which characters they show.",
        "unreadable",
    )


def too_long_error(limits: DocumentLimits) -> DocumentRefused:
    return DocumentRefused(
        f"The file contains more than {limits.max_characters:,} characters of text.", "too_long"
    )


def too_expensive_error() -> DocumentRefused:
    return DocumentRefused(
        "Reading the file takes more memory or time than is allowed.", "too_expensive"
    )
