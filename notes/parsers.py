from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.parsers import MultiPartParser

from common.api.request_body import drain_request_body
from common.documents.limits import get_limits

# The other fields, and the boundaries and headers between fields.
MAX_FORM_OVERHEAD_BYTES = 1_048_576


class DocumentParser(MultiPartParser):
    """A parser for forms with a document; it refuses a body that is too large before reading it."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping | None = None
    ) -> Any:
        max_file_bytes = get_limits().max_bytes
        request = (parser_context or {})["request"]._request
        if _content_length(request) > _max_body_bytes(request, max_file_bytes):
            drain_request_body(request)
            message = f"The file is larger than {max_file_bytes:,} bytes."
            raise ValidationError({"file": [ErrorDetail(message, "too_large")]})
        return super().parse(stream, media_type, parser_context)


def _content_length(request: HttpRequest) -> int:
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _max_body_bytes(request: HttpRequest, max_file_bytes: int) -> int:
    """Return the limit of a body, which is lower for a chunked one."""
    max_bytes = max_file_bytes + MAX_FORM_OVERHEAD_BYTES
    is_chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    return min(max_bytes, settings.DATA_UPLOAD_MAX_MEMORY_SIZE) if is_chunked else max_bytes
