"""Zip archives, looked at before anything is unpacked: told by their directory, and no more read
of that than a document has."""

import re
import zipfile
from collections.abc import Iterable
from typing import IO

from common.documents.types import DocumentRefused, Limits, broken, unsupported

MARKS = (b"PK\x03\x04", b"PK\x05\x06")
MAX_MEMBERS = 5_000
MAX_DIRECTORY = 1_000_000  # bytes; zipfile reads all of it and makes an object of each entry

CONTENT_TYPES = "[Content_Types].xml"
_main_part = re.compile(r"word/document\d*\.xml")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that Word knows
_ENCRYPTED = 0x1
_END = b"PK\x05\x06"  # the record that says where the directory is
_END_SIZE = 22
_ZIP64_LOCATOR = b"PK\x06\x07"  # stands before it where the figures have 64 bits
_ZIP64_SIZE = 20


def opened(stream: IO[bytes]) -> zipfile.ZipFile:
    """The archive in `stream`, its directory read. Raises `DocumentRefused`."""
    if _directory_size(stream) > MAX_DIRECTORY:
        raise _too_many_members()
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        raise broken("DOCX or zip") from None
    if len(archive.infolist()) > MAX_MEMBERS:
        raise _too_many_members()
    return archive


def _directory_size(stream: IO[bytes]) -> int:
    """In bytes, from where zipfile looks for it too. No document needs the 64 bit form."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _END_SIZE - _ZIP64_SIZE - 0xFFFF))
    tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise broken("DOCX or zip")
    if _ZIP64_LOCATOR in tail[max(0, at - _ZIP64_SIZE) : at]:
        raise unsupported()
    return int.from_bytes(tail[at + 12 : at + 16], "little")


def _too_many_members() -> DocumentRefused:
    return DocumentRefused("It holds more files than a document does.", "too_many_members")


def main_part(names: Iterable[str]) -> str:
    """The part that holds a Word document's text, "" if there is none."""
    return next(filter(_main_part.fullmatch, names), "")


def check_word_document(stream: IO[bytes], most: Limits) -> None:
    """Raises `DocumentRefused` unless the archive in `stream` is a Word document (DOCX) that
    unpacks to no more than the limit, by the sizes that it declares."""
    with opened(stream) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise DocumentRefused("It is encrypted.", "encrypted")
    if CONTENT_TYPES not in names or not main_part(names):
        raise unsupported()
    if any(member.compress_type not in _METHODS for member in members):
        raise unsupported()
    if "word/vbaProject.bin" in names:
        raise DocumentRefused(
            "It is a Word document with macros: save it as DOCX without them.", "unsupported"
        )
    if sum(member.file_size for member in members) > most.max_unpacked_bytes:
        raise DocumentRefused(
            f"It unpacks to more than {most.max_unpacked_bytes:,} bytes.", "unpacked_too_large"
        )
