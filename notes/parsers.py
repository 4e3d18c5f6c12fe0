import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.utils.http import parse_header_parameters
from rest_framework.parsers import MultiPartParser

from common.api.request_body import MAX_FORM_OVERHEAD_BYTES
from common.documents.limits import get_limits


class DocumentParser(MultiPartParser):
    """A parser for forms with a document.

    The name of a file may also be in Latin-1, where Django would drop the whole file. The body,
    which is at most as large as a document, is read into memory for this.
    """

    @property
    def max_body_bytes(self) -> int:
        return get_limits().max_bytes + MAX_FORM_OVERHEAD_BYTES

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping | None = None
    ) -> Any:
        _, parameters = parse_header_parameters(media_type or "")
        body = decode_part_headers(stream.read(), parameters.get("boundary", ""))
        return super().parse(BytesIO(body), media_type, parser_context)


def decode_part_headers(body: bytes, boundary: str) -> bytes:
    """Return a form whose parts have headers in UTF-8, from one with headers in Latin-1."""
    delimiter = re.escape(f"--{boundary}\r\n".encode())
    headers = re.compile(delimiter + rb"(?:[^\r\n]+\r\n)+")
    if all(_is_utf8(match[0]) for match in headers.finditer(body)):
        return body
    return headers.sub(lambda match: _to_utf8(match[0]), body)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _to_utf8(text: bytes) -> bytes:
    # What clients call Latin-1 is usually Windows-1252, which has more characters.
    return text if _is_utf8(text) else text.decode("cp1252", "replace").encode()
