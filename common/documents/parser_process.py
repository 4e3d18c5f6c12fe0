"""The child process that parses one document from standard input, within limits.

`extraction.py` starts it and reads the answer from its standard output, as JSON. It ends when its
time is up or its parent process has ended.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any

from common.documents.errors import DocumentRefused, damaged_error, too_long_error
from common.documents.extraction import EXIT_OUT_OF_MEMORY, EXIT_OUTPUT_TOO_LARGE
from common.documents.types import DocumentLimits, DocumentType, ExtractedText
from common.process_limits import limit_lifetime, limit_resources

BYTES_PER_MB = 1_000_000
MAX_BYTES_PER_CHARACTER = 4  # in UTF-8


def main(arguments: dict[str, Any]) -> None:
    document_type = DocumentType(arguments["document_type"])
    limits = DocumentLimits(**arguments["limits"])
    limit_lifetime(arguments["parent"], arguments["timeout_s"])
    limit_resources(
        memory_bytes=limits.memory_mb * BYTES_PER_MB,
        cpu_s=limits.seconds,
        output_bytes=MAX_BYTES_PER_CHARACTER * limits.max_characters + BYTES_PER_MB,
    )
    try:
        answer = build_answer(document_type, sys.stdin.buffer, limits)
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())
        sys.stdout.flush()
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except OSError as error:  # only from writing; a full disk is not the document's fault
        os._exit(EXIT_OUTPUT_TOO_LARGE if error.errno == errno.EFBIG else 1)
    os._exit(0)  # skip the clean-up of objects


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
