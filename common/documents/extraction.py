"""The text of a document, read in a child process that may use only so much.

The child has neither Bureau's secrets nor Django (`common.subprocesses`), and sets itself limits
before it reads (`child.py`). Whatever happens to it, its document alone is refused.
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
from common.documents.limits import limits, too_long
from common.documents.types import (
    DocumentRefused,
    Extracted,
    Kind,
    Limits,
    broken,
    no_text,
    too_expensive,
)

# Exit statuses. Out of room is an answer that takes more bytes than the longest text can.
OUT_OF_MEMORY, OUT_OF_ROOM = 3, 4
PATIENCE = 2  # the time on the clock, for each second of CPU that a document may cost

_OVERDRAWN = {OUT_OF_MEMORY, -signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL}
_CRASHED = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGILL, -signal.SIGFPE}


def extract(source: bytes | Path, kind: Kind) -> Extracted:
    """The text of the file in `source`, which `sniff` has found to be of `kind`.

    Raises `DocumentRefused`. Any other exception means that the reading itself could not be done
    and is worth another try.
    """
    most = limits()
    if kind is Kind.TEXT:
        return _plain(source, most)
    with _opened(source) as file, TemporaryFile() as answer:
        status = _run_child(file, answer, kind, most)
        answer.seek(0)
        return _understood(status, answer.read(), kind, most)


def _plain(source: bytes | Path, most: Limits) -> Extracted:
    """No parser is at work here, so no child is needed."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        text = plain_text.tidied(plain_text.decoded(file.read(most.max_bytes)))
    if not text:
        raise no_text()
    if len(text) > most.max_characters:
        raise too_long(most)
    return Extracted(plain_text.unwrapped(text))


@contextmanager
def _opened(source: bytes | Path) -> Iterator[IO[bytes]]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    with TemporaryFile() as file:
        file.write(source)
        file.seek(0)
        yield file


def _run_child(file: IO[bytes], answer: IO[bytes], kind: Kind, most: Limits) -> int:
    """Its exit status, negative for the signal that ended it."""
    child = subprocesses.start(
        "common.documents.parser_process",
        {"kind": kind, "patience": most.seconds * PATIENCE, **asdict(most)},
        stdin=file,
        stdout=answer,
        stderr=subprocess.DEVNULL,
    )
    try:
        return child.wait(timeout=most.seconds * PATIENCE)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _understood(status: int, answer: bytes, kind: Kind, most: Limits) -> Extracted:
    if status in _OVERDRAWN:
        raise too_expensive()
    if status == OUT_OF_ROOM:
        raise too_long(most)
    if status in _CRASHED:
        raise broken(kind.upper())
    if status:
        raise RuntimeError(f"the reader of documents ended with status {status}")
    found = json.loads(answer)
    if "code" in found:
        raise DocumentRefused(**found)
    return Extracted(**found)
