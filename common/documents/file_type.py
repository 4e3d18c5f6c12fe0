"""Detect the type of a file by its content, cheaply enough for a web request."""

import re
from typing import IO

from common.documents import plain_text, word_archive
from common.documents.errors import (
    DocumentRefused,
    no_text_error,
    too_long_error,
    unsupported_error,
)
from common.documents.limits import get_limits
from common.documents.types import DocumentLimits, DocumentType

HEAD_BYTES = 1024  # in which PDF readers search for "%PDF-"
TAIL_BYTES = 2048

_pdf_start = re.compile(rb"(?:\xef\xbb\xbf)?\s*%PDF-")
_OLE2_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_RTF_SIGNATURE = b"{\\rtf"


def sniff(stream: IO[bytes], size: int) -> DocumentType:
    """Return the type of the file of `size` bytes in `stream`, and rewind it.

    Raises `DocumentRefused` for what can be detected without parsing: an empty or too large file,
    another type, an encrypted Word document, and an archive that unpacks to too much.
    """
    limits = get_limits()
    if not size:
        raise DocumentRefused("The file is empty.", "empty")
    if size > limits.max_bytes:
        raise DocumentRefused(f"The file is larger than {limits.max_bytes:,} bytes.", "too_large")
    try:
        return _detect_type(stream, limits)
    finally:
        stream.seek(0)


def _detect_type(stream: IO[bytes], limits: DocumentLimits) -> DocumentType:
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if head.startswith(word_archive.ZIP_SIGNATURES):
        word_archive.check_word_document(stream, limits)
        return DocumentType.DOCX
    if head.startswith(_OLE2_SIGNATURE):
        raise DocumentRefused(
            "The file is encrypted or in an old Office format. Save it as DOCX without a password.",
            "encrypted",
        )
    if head.startswith(_RTF_SIGNATURE):
        raise unsupported_error()
    if _pdf_start.match(head):
        return DocumentType.PDF
    stream.seek(0)
    return _detect_text_or_pdf(stream.read(limits.max_bytes), limits)


def _detect_text_or_pdf(data: bytes, limits: DocumentLimits) -> DocumentType:
    """Distinguish a PDF with other bytes before its start from a text that mentions "%PDF-"."""
    mentions_pdf = b"%PDF-" in data[:HEAD_BYTES]
    if mentions_pdf and b"startxref" in data[-TAIL_BYTES:]:
        return DocumentType.PDF
    try:
        text = plain_text.decode(data)
    except DocumentRefused:
        if mentions_pdf:
            return DocumentType.PDF
        raise
    if not text.strip():
        raise no_text_error()
    if len(text) > limits.max_characters:
        raise too_long_error(limits)
    return DocumentType.TEXT
