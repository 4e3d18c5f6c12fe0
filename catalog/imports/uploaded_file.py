"""The file of an import: what it contains, and its storage in the database."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from django.db import connection

from catalog.import_models import ProductImport
from catalog.imports import csv_files, xlsx_files
from catalog.imports.columns import assign_fields
from catalog.imports.errors import FileRefused
from catalog.imports.validation import Cell

HEAD_BYTES = 8
COPY_PARTS = "COPY catalog_importchunk (product_import_id, index, data) FROM STDIN"
MAX_COLUMNS = 1_000
MAX_TITLE_CHARS = 200
Record = tuple[int, list[Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """How a file is read, and the field of each of its columns. Columns of `ProductImport`."""

    file_type: str
    encoding: str = ""
    separator: str = ""
    header: list[str]
    fields: list[str]


def detect_format(file: IO[bytes], *, mode: str, ignore_unknown: bool) -> FileFormat:
    """Return the format of a file. Raises `FileRefused` if it can't be imported."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(xlsx_files.OLE2_SIGNATURE):
        message = "The file is encrypted or in the old XLS format. Save it as XLSX or CSV."
        raise FileRefused(("unsupported", message))
    format_of = _detect_xlsx if xlsx_files.is_archive(head) else _detect_csv
    columns, titles = format_of(file)
    header = _clean_header(titles)
    fields = assign_fields(header, mode=mode, ignore_unknown=ignore_unknown)
    return FileFormat(**columns, header=header, fields=fields)


def _detect_csv(file: IO[bytes]) -> tuple[dict[str, str], list[Any]]:
    encoding = csv_files.find_encoding(file)
    separator, header = csv_files.find_separator(file, encoding)
    return {"file_type": "csv", "encoding": encoding, "separator": separator}, header


def _detect_xlsx(file: IO[bytes]) -> tuple[dict[str, str], list[Any]]:
    xlsx_files.check_archive(file)
    with _as_real_file(file) as real_file:
        records = xlsx_files.read_records(real_file, max_rows=100)
        _, header = next(iter(records), (1, []))
        for _ in records:  # to its end, where an error is raised
            pass
    if not header:
        raise FileRefused(("empty", "The first sheet of the file is empty."))
    return {"file_type": "xlsx"}, header


def _clean_header(titles: list[Any]) -> list[str]:
    """Return the titles as texts, without empty ones at the end."""
    header = [str(title).strip()[:MAX_TITLE_CHARS].replace("\0", "") for title in titles]
    while header and not header[-1]:
        header.pop()
    if len(header) > MAX_COLUMNS:
        raise FileRefused(("too_many_columns", f"The file has more than {MAX_COLUMNS:,} columns."))
    return header


def store(product_import: ProductImport, file: IO[bytes]) -> None:
    """Store the file in parts."""
    with connection.cursor() as cursor, cursor.copy(COPY_PARTS) as copy:
        for index, part in enumerate(csv_files.read_chunks(file)):
            copy.write_row((product_import.pk, index, part))


def read_records(product_import: ProductImport) -> Iterator[Record]:
    """Yield the rows of the stored file below its header, with the lines on which they begin."""
    stored = StoredFile(product_import)
    if product_import.file_type == ProductImport.FileType.CSV:
        records: Iterator[Any] = csv_files.read_records(
            io.BufferedReader(stored),  # type: ignore[type-var]
            product_import.encoding,
            product_import.separator,
        )
        next(records)
        yield from records
        return
    with TemporaryFile() as file:
        for part in stored.parts():
            file.write(part)
        file.flush()
        records = xlsx_files.read_records(file)
        next(records)
        yield from records


class StoredFile(io.RawIOBase):
    """A stored file, of which one part at a time is in memory."""

    def __init__(self, product_import: ProductImport) -> None:
        self._parts = self._read_parts(product_import)
        self._unread = memoryview(b"")

    def _read_parts(self, product_import: ProductImport) -> Iterator[memoryview]:
        index = 0
        rows = product_import.chunks.values_list("data", flat=True)  # type: ignore[attr-defined]
        while (data := rows.filter(index=index).first()) is not None:
            yield memoryview(data)
            index += 1

    def parts(self) -> Iterator[memoryview]:
        return self._parts

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._unread:
            self._unread = next(self._parts, memoryview(b""))
        count = min(len(buffer), len(self._unread))
        buffer[:count], self._unread = self._unread[:count], self._unread[count:]
        return count


@contextmanager
def _as_real_file(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Return a file with a descriptor: a small upload is only in memory."""
    with TemporaryFile() as copy:
        for part in csv_files.read_chunks(file):
            copy.write(part)
        copy.flush()
        yield copy
