"""What a file is, told by its content alone and cheaply enough for a web request."""

import re
from typing import IO

from common.documents import archive, plain_text
from common.documents.limits import limits, too_long
from common.documents.types import DocumentRefused, Kind, Limits, no_text, unsupported

HEAD = 1024  # bytes in which readers of PDF look for its mark
TAIL = 2048

_pdf_start = re.compile(rb"(?:\xef\xbb\xbf)?\s*%PDF-")
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_RTF = b"{\\rtf"


def sniff(stream: IO[bytes], size: int) -> Kind:
    """The kind of the file in `stream`, which is `size` bytes long and is left at its start.

    Raises `DocumentRefused` for what can be told without parsing: an empty or too large file,
    another kind, an encrypted Word document, and a zip archive that unpacks to too much.
    """
    most = limits()
    if not size:
        raise DocumentRefused("The file is empty.", "empty")
    if size > most.max_bytes:
        raise DocumentRefused(f"It is larger than {most.max_bytes:,} bytes.", "too_large")
    try:
        return _kind(stream, most)
    finally:
        stream.seek(0)


def _kind(stream: IO[bytes], most: Limits) -> Kind:
    stream.seek(0)
    head = stream.read(HEAD)
    if head.startswith(archive.MARKS):
        archive.check_word_document(stream, most)
        return Kind.DOCX
    if head.startswith(_OLE2):
        raise DocumentRefused(
            "It is an encrypted document or one of an old Office program.", "encrypted"
        )
    if head.startswith(_RTF):
        raise unsupported()
    if _pdf_start.match(head):
        return Kind.PDF
    stream.seek(0)
    return _text_or_late_pdf(stream.read(most.max_bytes), most)


def _text_or_late_pdf(data: bytes, most: Limits) -> Kind:
    """A PDF may have something before it, and a text may speak of PDF."""
    is_pdf = b"%PDF-" in data[:HEAD]
    if is_pdf and b"startxref" in data[-TAIL:]:
        return Kind.PDF
    try:
        text = plain_text.decoded(data)
    except DocumentRefused:
        if is_pdf:
            return Kind.PDF
        raise
    if not text.strip():
        raise no_text()
    if len(text) > most.max_characters:
        raise too_long(most)
    return Kind.TEXT
