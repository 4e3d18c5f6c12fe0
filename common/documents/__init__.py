"""The text of PDF, DOCX, TXT and Markdown files that strangers send.

    request:  kind = sniff(stream, size)        what it is, by its content, and cheap refusals
    worker:   found = extract(source, kind)     its text, read in a child process with limits

Both raise `DocumentRefused`, whose message is meant for who sent the file. A file is an attack
until it is read: no parser of PDF or XML runs in a process that serves anything else.
"""

from common.documents.extraction import extract
from common.documents.file_type import sniff
from common.documents.types import DocumentRefused, Extracted, Kind, Limits

__all__ = ["DocumentRefused", "Extracted", "Kind", "Limits", "extract", "sniff"]
