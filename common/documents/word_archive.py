"""Check the zip archive of a Word document before any of it is unpacked."""

import re
import zipfile
from collections.abc import Iterable
from typing import IO

from common.documents.errors import DocumentRefused, damaged_error, unsupported_error
from common.documents.types import DocumentLimits

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
MAX_MEMBERS = 5_000
MAX_DIRECTORY_BYTES = 1_000_000  # zipfile reads the whole directory, one object per entry

CONTENT_TYPES = "[Content_Types].xml"
_main_part = re.compile(r"word/document\d*\.xml")
_COMPRESSION_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that Word supports
_ENCRYPTED_FLAG = 0x1
_END_RECORD = b"PK\x05\x06"  # says where the directory is
_END_RECORD_BYTES = 22
_MAX_COMMENT_BYTES = 0xFFFF  # after the end record
_ZIP64_LOCATOR = b"PK\x06\x07"  # precedes the end record of an archive with 64-bit sizes
_ZIP64_LOCATOR_BYTES = 20


def open_archive(stream: IO[bytes]) -> zipfile.ZipFile:
    """Return the archive in `stream`. Raises `DocumentRefused` if it is damaged."""
    if _read_directory_size(stream) > MAX_DIRECTORY_BYTES:
        raise _too_many_members_error()
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        raise damaged_error("DOCX or ZIP") from None
    if len(archive.infolist()) > MAX_MEMBERS:
        raise _too_many_members_error()
    return archive


def _read_directory_size(stream: IO[bytes]) -> int:
    """Return the size of the directory in bytes, as zipfile will read it.

    Archives with 64-bit sizes are refused: no document needs them.
    """
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _END_RECORD_BYTES - _ZIP64_LOCATOR_BYTES - _MAX_COMMENT_BYTES))
    tail = stream.read()
    start = tail.rfind(_END_RECORD)
    if start < 0 or len(tail) - start < _END_RECORD_BYTES:
        raise damaged_error("DOCX or ZIP")
    if _ZIP64_LOCATOR in tail[max(0, start - _ZIP64_LOCATOR_BYTES) : start]:
        raise unsupported_error()
    return int.from_bytes(tail[start + 12 : start + 16], "little")


def _too_many_members_error() -> DocumentRefused:
    return DocumentRefused("The archive contains too many files.", "too_many_members")


def find_main_part(names: Iterable[str]) -> str:
    """Return the name of the part with the text of a Word document, or ""."""
    return next(filter(_main_part.fullmatch, names), "")


def check_word_document(stream: IO[bytes], limits: DocumentLimits) -> None:
    """Raise `DocumentRefused` unless `stream` is a Word document (DOCX).

    It must also unpack to no more than the limit, by the sizes that its directory declares.
    """
    with open_archive(stream) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        raise DocumentRefused("The file is encrypted. Save it without a password.", "encrypted")
    if CONTENT_TYPES not in names or not find_main_part(names):
        raise unsupported_error()
    if any(member.compress_type not in _COMPRESSION_METHODS for member in members):
        raise unsupported_error()
    if "word/vbaProject.bin" in names:
        raise DocumentRefused(
            "The Word document contains macros. Save it as DOCX without macros.", "unsupported"
        )
    if sum(member.file_size for member in members) > limits.max_unpacked_bytes:
        raise DocumentRefused(
            f"The file unpacks to more than {limits.max_unpacked_bytes:,} bytes.",
            "unpacked_too_large",
        )
