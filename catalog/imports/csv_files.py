"""Read CSV files of any encoding, separator and line end."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO

from catalog.imports.columns import recognize
from catalog.imports.errors import FileRefused
from common.documents import DocumentRefused
from common.documents.encodings import detect_encoding

CHUNK_BYTES = 1024 * 1024
SEPARATORS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Longer than any cell that is accepted. A longer one has a quotation mark that is never closed.
csv.field_size_limit(131_072)


def find_encoding(file: IO[bytes]) -> str:
    """Return the encoding of a file, which is read to its end. Raises `FileRefused`."""
    file.seek(0)
    chunk = file.read(CHUNK_BYTES)
    for bom, encoding in _BOMS:
        if chunk.startswith(bom):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk and b"\0" not in chunk:
            decoder.decode(chunk)
            chunk = file.read(CHUNK_BYTES)
        decoder.decode(chunk, final=True)
    except UnicodeDecodeError:
        return _detect(chunk)
    return _detect(chunk) if chunk else "utf-8"


def _detect(chunk: bytes) -> str:
    try:
        return detect_encoding(chunk)
    except DocumentRefused as error:
        raise FileRefused((error.code, error.message)) from None


def read_records(file: IO[bytes], encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line on which it begins."""
    text = io.TextIOWrapper(file, encoding, newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    line = 1
    try:
        for record in reader:
            if any(record) and not _is_separator_line(line, record):
                yield line, record
            line = reader.line_num + 1
    except UnicodeDecodeError:
        message = f"Line {line} or one after it is not valid {encoding}. Save the file as UTF-8."
        raise FileRefused(("invalid_encoding", message)) from None
    except csv.Error as error:
        message = f"Line {line} can't be read: {error}. Check its quotation marks."
        raise FileRefused(("invalid_csv", message)) from None
    finally:
        text.detach()


def find_separator(file: IO[bytes], encoding: str) -> tuple[str, list[str]]:
    """Return the separator and the header: those with the most columns that are known."""
    headers = [
        (separator, header)
        for separator in SEPARATORS
        if (header := _read_header(file, encoding, separator))
    ]
    if not headers:
        raise FileRefused(("empty", "The file is empty."))
    return max(headers, key=lambda pair: (_count_known(pair[1]), len(pair[1])))


def _read_header(file: IO[bytes], encoding: str, separator: str) -> list[str]:
    file.seek(0)
    try:
        _, header = next(iter(read_records(file, encoding, separator)), (1, []))
    except FileRefused:
        return []
    return header


def _count_known(header: Iterable[str]) -> int:
    return sum(recognize(title) is not None for title in header)


def _is_separator_line(line: int, record: list[str]) -> bool:
    """Return whether the record is Excel's first line, which names the separator ("sep=;")."""
    return line == 1 and "".join(record).lower().startswith("sep=") and len(record) <= 2
