"""Read the alternative chunks of a Word document: whole files that Word shows in its place.

Programs that write reports put HTML, plain text, mails or other Word documents into them. Runs only
in `parser_process`.
"""

import email
import email.policy
import posixpath
import re
from collections.abc import Callable
from email.message import EmailMessage
from io import BytesIO
from xml.parsers import expat
from zipfile import ZipFile

from common.documents import plain_text, word_archive
from common.documents.errors import DocumentRefused
from common.documents.html_text import extract_html_text, is_html
from common.documents.types import DocumentLimits

Parse = Callable[[ZipFile, DocumentLimits], str]

MAX_RELATIONS_BYTES = 1_000_000
RELATION_TYPE = "/aFChunk"

_mail_header = re.compile(rb"\s*(?:from|mime-version|content-type|subject|date):", re.IGNORECASE)


def read_chunks(
    archive: ZipFile, main_part: str, limits: DocumentLimits, parse: Parse | None
) -> dict[str, str | None]:
    """Return the texts of the chunks by their relation's id, None for one that can't be read.

    `parse` returns the text of a nested document; without it they can't be read.
    """
    names = set(archive.namelist())
    return {
        relation: _read_chunk(archive.read(name), limits, parse) if name in names else None
        for relation, name in _find_chunks(archive, main_part).items()
    }


def _find_chunks(archive: ZipFile, main_part: str) -> dict[str, str]:
    """Return the names of the parts that are chunks, by their relation's id."""
    folder, name = posixpath.split(main_part)
    relations = f"{folder}/_rels/{name}.rels"
    if relations not in archive.namelist():
        return {}
    chunks: dict[str, str] = {}

    def add(tag: str, attributes: dict[str, str]) -> None:
        if attributes.get("Type", "").endswith(RELATION_TYPE):
            target = posixpath.join("/", folder, attributes.get("Target", ""))
            chunks[attributes.get("Id", "")] = posixpath.normpath(target).lstrip("/")

    parser = expat.ParserCreate()
    parser.StartElementHandler = add
    with archive.open(relations) as part:
        parser.Parse(part.read(MAX_RELATIONS_BYTES), True)
    return chunks


def _read_chunk(data: bytes, limits: DocumentLimits, parse: Parse | None) -> str | None:
    """Return the text of a chunk by its content, None for RTF and other types."""
    if data.startswith(word_archive.ZIP_SIGNATURES):
        return _read_document(data, limits, parse) if parse else None
    if data.startswith(b"{\\rtf"):
        return None
    if _mail_header.match(data):
        return _read_mail(data)
    return _read_text(data)


def _read_document(data: bytes, limits: DocumentLimits, parse: Parse) -> str | None:
    try:
        word_archive.check_word_document(BytesIO(data), limits)
        with word_archive.open_archive(BytesIO(data)) as archive:
            return parse(archive, limits)
    except DocumentRefused:
        return None


def _read_mail(data: bytes) -> str | None:
    """Return the text of a web archive (MHT)."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("html", "plain"))
    payload = body.get_payload(decode=True) if body else None
    return _read_text(payload) if isinstance(payload, bytes) else None


def _read_text(data: bytes) -> str | None:
    try:
        text = plain_text.decode(data)
    except DocumentRefused:
        return None
    return extract_html_text(text) if is_html(text) else plain_text.normalize(text)
