"""Extract the text of a document in a child process with limited resources.

The child has neither Bureau's secrets nor Django (`common.subprocesses`) and limits its own memory
and time before it reads (`parser_process.py`). If it crashes, only its document is refused.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from common import subprocesses
from common.documents import plain_text
from common.documents.errors import (
    DocumentRefused,
    damaged_error,
    no_text_error,
    too_expensive_error,
    too_long_error,
)
from common.documents.front_matter import strip_front_matter
from common.documents.html_text import is_html
from common.documents.limits import get_limits
from common.documents.types import DocumentLimits, DocumentType, ExtractedText

# Exit statuses of the child. The output is too large if it exceeds the longest allowed text.
EXIT_OUT_OF_MEMORY, EXIT_OUTPUT_TOO_LARGE = 3, 4
WALL_SECONDS_PER_CPU_SECOND = 2

# PDFium aborts when it gets no memory, and traps where it detects an error of its own.
_LIMIT_STATUSES = {
    EXIT_OUT_OF_MEMORY,
    -signal.SIGXCPU,
    -signal.SIGALRM,
    -signal.SIGKILL,
    -signal.SIGABRT,
}
_CRASH_STATUSES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGTRAP, -signal.SIGILL, -signal.SIGFPE}


def extract(source: bytes | Path, document_type: DocumentType) -> ExtractedText:
    """Return the text of the file in `source`, whose type `sniff` has detected.

    Raises `DocumentRefused`. Any other exception means that the child could not run, and that
    a later run may succeed.
    """
    limits = get_limits()
    if document_type is DocumentType.TEXT:
        return _extract_plain_text(source, limits)
    with _open_source(source) as file, TemporaryFile() as output:
        status = _run_parser(file, output, document_type, limits)
        output.seek(0)
        return _parse_output(status, output.read(), document_type, limits)


def _extract_plain_text(source: bytes | Path, limits: DocumentLimits) -> ExtractedText:
    """Decode a plain text in this process, because it needs no parser."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        text = strip_front_matter(plain_text.decode(file.read(limits.max_bytes)))
    text = plain_text.normalize(text)
    if not text:
        raise no_text_error()
    if len(text) > limits.max_characters:
        raise too_long_error(limits)
    return ExtractedText(text if is_html(text) else plain_text.unwrap_lines(text))


@contextmanager
def _open_source(source: bytes | Path) -> Iterator[IO[bytes]]:
    """Yield a file with a descriptor that a child can read."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    with TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        yield file


def _run_parser(
    file: IO[bytes], output: IO[bytes], document_type: DocumentType, limits: DocumentLimits
) -> int:
    """Return the exit status of the child, negative for the signal that ended it."""
    timeout_s = limits.seconds * WALL_SECONDS_PER_CPU_SECOND
    child = subprocesses.start(
        "common.documents.parser_process",
        {"document_type": document_type, "timeout_s": timeout_s, "limits": asdict(limits)},
        stdin=file,
        stdout=output,
        stderr=subprocess.DEVNULL,
    )
    try:
        return child.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        _kill(child)


def _kill(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _parse_output(
    status: int, output: bytes, document_type: DocumentType, limits: DocumentLimits
) -> ExtractedText:
    if status in _LIMIT_STATUSES:
        raise too_expensive_error()
    if status == EXIT_OUTPUT_TOO_LARGE:
        raise too_long_error(limits)
    if status in _CRASH_STATUSES:
        raise damaged_error(document_type.upper())
    if status:
        raise RuntimeError(f"the document parser ended with status {status}")
    answer = json.loads(output)
    if "code" in answer:
        raise DocumentRefused(**answer)
    return ExtractedText(**answer)
