"""Read CSV files of any encoding, separator and line end."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from typing import IO

from catalog.imports.columns import recognize
from catalog.imports.errors import FileRefused
from common.documents import DocumentRefused
from common.documents.encodings import detect_encoding, is_plausible

CHUNK_BYTES = 1024 * 1024
SAMPLE_BYTES = 100_000
MAX_LINE_CHARS = 1_000_000
COMMON_ENCODING = "cp1252"  # of spreadsheets on Windows in Western Europe
SEPARATORS = (",", ";", "\t", "|")
# The mark of UTF-32 begins with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of the bytes of UTF-8; UTF-16 without a byte order mark has far more.
MAX_NULL_SHARE = 0.05
# Longer than any cell that is accepted. A longer one has a quotation mark that is never closed.
csv.field_size_limit(131_072)


def find_encoding(file: IO[bytes]) -> str:
    """Return the encoding of a file, which is read to its end. Raises `FileRefused`."""
    file.seek(0)
    chunk = file.read(CHUNK_BYTES)
    for bom, encoding in _BOMS:
        if chunk.startswith(bom):
            return encoding
    if chunk.count(b"\0") > MAX_NULL_SHARE * len(chunk):
        return _detect(chunk)
    return "utf-8" if _is_utf8(file) else _detect(_read_lines_beyond_ascii(file))


def _is_utf8(file: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in read_chunks(file):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _read_lines_beyond_ascii(file: IO[bytes]) -> bytes:
    """Return lines with letters beyond ASCII, which alone tell encodings apart."""
    lines: list[bytes] = []
    for chunk in read_chunks(file):
        lines += [line for line in chunk.splitlines() if not line.isascii()]
        if sum(map(len, lines)) > SAMPLE_BYTES:
            break
    return b"\n".join(lines)[:SAMPLE_BYTES]


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file from its beginning, in parts."""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _detect(sample: bytes) -> str:
    try:
        return detect_encoding(sample)
    except DocumentRefused as error:
        # A table has few words, often too few to be sure.
        if is_plausible(sample.decode(COMMON_ENCODING, "replace")):
            return COMMON_ENCODING
        raise FileRefused((error.code, error.message)) from None


def read_records(file: IO[bytes], encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line on which it begins."""
    text = io.TextIOWrapper(file, encoding, newline="")
    reader = csv.reader(_read_lines(text), delimiter=separator, strict=True, skipinitialspace=True)
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


def _read_lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE_CHARS + 1):
        if len(line) > MAX_LINE_CHARS:
            message = f"A line of the file has more than {MAX_LINE_CHARS:,} characters."
            raise FileRefused(("line_too_long", message))
        yield line


def find_separator(file: IO[bytes], encoding: str) -> tuple[str, list[str]]:
    """Return the separator and the header: those with the most columns that are known."""
    headers = {}
    refusal = FileRefused(("empty", "The file is empty."))
    for separator in SEPARATORS:
        file.seek(0)
        try:
            for _, header in read_records(file, encoding, separator):
                headers[separator] = header
                break
        except FileRefused as error:
            refusal = error
    if not headers:
        raise refusal
    return max(headers.items(), key=lambda pair: (_count_known(pair[1]), len(pair[1])))


def _count_known(header: Sequence[str]) -> int:
    return sum(recognize(title) is not None for title in header)


def _is_separator_line(line: int, record: list[str]) -> bool:
    """Return whether the record is Excel's first line, which names the separator ("sep=;")."""
    return line == 1 and "".join(record).lower().startswith("sep=") and len(record) <= 2
