"""Extract the text of PDF, DOCX, TXT and Markdown files from untrusted senders.

    request:  document_type = sniff(stream, size)        detect the type, refuse bad files cheaply
    worker:   extracted = extract(source, document_type)  parse it in a child process with limits

Both raise `DocumentRefused`, whose message is meant for the sender of the file. Every file is
treated as an attack: no parser of PDF or XML runs in a process that does other work.
"""

from common.documents.errors import DocumentRefused
from common.documents.extraction import extract
from common.documents.file_type import sniff
from common.documents.types import DocumentLimits, DocumentType, ExtractedText

__all__ = [
    "DocumentLimits",
    "DocumentRefused",
    "DocumentType",
    "ExtractedText",
    "extract",
    "sniff",
]
