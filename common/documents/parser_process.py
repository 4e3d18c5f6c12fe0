"""The child process that parses one document from standard input, within limits.

`extraction.py` starts it and reads the answer from its standard output, as JSON. It ends when its
time is up or its parent process has ended.
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

from common.documents.errors import DocumentRefused, damaged_error, too_long_error
from common.documents.extraction import EXIT_OUT_OF_MEMORY, EXIT_OUTPUT_TOO_LARGE
from common.documents.types import DocumentLimits, DocumentType, ExtractedText

BYTES_PER_MB = 1_000_000
MAX_BYTES_PER_CHARACTER = 4  # in UTF-8
MAX_OPEN_FILES = 32
PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>


def main(arguments: dict[str, Any]) -> None:
    document_type = DocumentType(arguments["document_type"])
    limits = DocumentLimits(**arguments["limits"])
    _limit_lifetime(arguments["parent"], arguments["timeout_s"])
    _limit_resources(limits)
    try:
        answer = build_answer(document_type, sys.stdin.buffer, limits)
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())
        sys.stdout.flush()
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except OSError as error:  # only from writing; a full disk is not the document's fault
        os._exit(EXIT_OUTPUT_TOO_LARGE if error.errno == errno.EFBIG else 1)
    os._exit(0)  # skip the clean-up of objects


def _limit_lifetime(parent_pid: int, timeout_s: int) -> None:
    """End by SIGALRM after `timeout_s` seconds and, on Linux, with the parent."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the call above
        os._exit(1)


def _limit_resources(limits: DocumentLimits) -> None:
    """Set limits that this process cannot raise. macOS ignores the memory limit."""
    max_output_bytes = MAX_BYTES_PER_CHARACTER * limits.max_characters + BYTES_PER_MB
    for resource_type, limit in (
        (resource.RLIMIT_AS, limits.memory_mb * BYTES_PER_MB),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, max_output_bytes),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource_type, (limit, limit))


def build_answer(
    document_type: DocumentType, stream: IO[bytes], limits: DocumentLimits
) -> dict[str, str]:
    """Return the fields of an `ExtractedText`, or of a `DocumentRefused`."""
    try:
        return asdict(_parse(document_type, stream, limits))
    except DocumentRefused as error:
        refusal = error
    except MemoryError:
        raise
    except Exception:  # parsers raise errors of any type on damaged files
        refusal = damaged_error(document_type.upper())
    return {"message": refusal.message, "code": refusal.code}


def _parse(document_type: DocumentType, stream: IO[bytes], limits: DocumentLimits) -> ExtractedText:
    extracted = _load_parser(document_type)(stream, limits)
    if len(extracted.text) > limits.max_characters:  # with separators and expanded ligatures
        raise too_long_error(limits)
    return extracted


def _load_parser(
    document_type: DocumentType,
) -> Callable[[IO[bytes], DocumentLimits], ExtractedText]:
    """Return the parser of a type, and import no other."""
    if document_type is DocumentType.PDF:
        from common.documents.pdf_parser import parse_pdf

        return parse_pdf
    from common.documents.docx_parser import parse_docx

    return parse_docx


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
