"""Read the first sheet of XLSX files, in a child process with limits."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import IO

from catalog.imports.errors import FileRefused
from catalog.imports.validation import Cell
from catalog.imports.xlsx_process import EXIT_OUT_OF_MEMORY
from common import subprocesses
from common.documents import DocumentRefused
from common.documents.word_archive import ZIP_SIGNATURES, open_archive

MAX_UNPACKED_BYTES = 1_000_000_000
MEMORY_BYTES = 2_000_000_000
CPU_S = 300
TIMEOUT_S = 1200
ENCRYPTED_FLAG = 0x1
OLE2_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LIMIT_STATUSES = {
    EXIT_OUT_OF_MEMORY,
    -signal.SIGXCPU,
    -signal.SIGALRM,
    -signal.SIGKILL,
    -signal.SIGABRT,  # Rust aborts when it gets no memory
}


def is_archive(head: bytes) -> bool:
    return head.startswith(ZIP_SIGNATURES)


def check_archive(file: IO[bytes]) -> None:
    """Raise `FileRefused` unless the file is an XLSX file that unpacks to a reasonable size."""
    try:
        with open_archive(file) as archive:
            members = archive.infolist()
    except DocumentRefused:
        raise _damaged_error() from None
    if any(member.flag_bits & ENCRYPTED_FLAG for member in members):
        raise FileRefused(("encrypted", "The file is encrypted. Save it without a password."))
    if not any(member.filename.startswith("xl/worksheets/") for member in members):
        raise FileRefused(("unsupported", "This file type is not supported. Send CSV or XLSX."))
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise FileRefused(
            (
                "unpacked_too_large",
                f"The file unpacks to more than {MAX_UNPACKED_BYTES:,} bytes. Send it as CSV.",
            )
        )


def read_records(
    file: IO[bytes], *, max_rows: int | None = None
) -> Iterator[tuple[int, list[Cell]]]:
    """Yield each row that is not blank, with its number. `file` must have a file descriptor."""
    with _start_reader(file, max_rows) as process:
        assert process.stdout is not None
        for line in process.stdout:
            number, cells = json.loads(line, parse_float=Decimal)
            yield number, cells
        status = process.wait()
    if status in _LIMIT_STATUSES:
        raise FileRefused(
            ("too_expensive", "The XLSX file is too large to be read. Send it as CSV.")
        )
    if status:
        raise _damaged_error()


@contextmanager
def _start_reader(file: IO[bytes], max_rows: int | None) -> Iterator[subprocess.Popen[bytes]]:
    file.seek(0)
    arguments = {
        "timeout_s": TIMEOUT_S,
        "memory_bytes": MEMORY_BYTES,
        "cpu_s": CPU_S,
        "max_rows": max_rows,
    }
    process = subprocesses.start(
        "catalog.imports.xlsx_process",
        arguments,
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _damaged_error() -> FileRefused:
    return FileRefused(("broken", "The XLSX file is damaged."))
