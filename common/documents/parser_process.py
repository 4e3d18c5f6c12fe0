"""The process that reads one document: from standard input, to standard output, within limits.

`extraction.py` starts it. It ends by itself when its time is up or its parent is gone.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from common.documents.extraction import OUT_OF_MEMORY, OUT_OF_ROOM
from common.documents.limits import too_long
from common.documents.types import DocumentRefused, Extracted, Kind, Limits, broken

MEGABYTE = 1_000_000
OPEN_FILES = 32
SET_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl


def main(task: dict[str, Any]) -> None:
    kind, parent, patience = Kind(task.pop("kind")), task.pop("parent"), task.pop("patience")
    most = Limits(**task)
    _end_with(parent, patience)
    _restrict(most)
    try:
        answer = answer_to(kind, sys.stdin.buffer, most)
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())
        sys.stdout.flush()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except OSError as error:  # of the writing alone; a full disk is no fault of the document
        os._exit(OUT_OF_ROOM if error.errno == errno.EFBIG else 1)
    os._exit(0)  # no tidying up of what is thrown away as a whole


def _end_with(parent: int, patience: int) -> None:
    """Die by SIGALRM after `patience` seconds and, where the system can do that, with `parent`."""
    signal.setitimer(signal.ITIMER_REAL, patience)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)


def _restrict(most: Limits) -> None:
    """Limits that nothing here can raise again. macOS does not keep that of memory."""
    for what, limit in (
        (resource.RLIMIT_AS, most.memory_mb * MEGABYTE),
        (resource.RLIMIT_CPU, most.seconds),
        (resource.RLIMIT_FSIZE, 4 * most.max_characters + MEGABYTE),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit))


def answer_to(kind: Kind, stream: IO[bytes], most: Limits) -> dict[str, str]:
    """The fields of an `Extracted`, or of a `DocumentRefused`."""
    try:
        return asdict(_read(kind, stream, most))
    except DocumentRefused as refused:
        return _told(refused)
    except MemoryError:
        raise
    except Exception:  # parsers raise anything at all on what is broken
        return _told(broken(kind.upper()))


def _read(kind: Kind, stream: IO[bytes], most: Limits) -> Extracted:
    found = _reader(kind)(stream, most)
    if len(found.text) > most.max_characters:  # by what divides its parts, or by ligatures
        raise too_long(most)
    return found


def _told(refused: DocumentRefused) -> dict[str, str]:
    return {"message": refused.message, "code": refused.code}


def _reader(kind: Kind) -> Callable[[IO[bytes], Limits], Extracted]:
    if kind is Kind.PDF:
        from common.documents import pdf

        return pdf.read
    from common.documents import docx

    return docx.read


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
