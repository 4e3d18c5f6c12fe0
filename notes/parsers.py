from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.parsers import MultiPartParser

from common.api.request_body import discard
from common.documents.limits import get_limits

FORM = 1_048_576  # bytes for the other fields, and for what stands between fields


class DocumentParser(MultiPartParser):
    """A form with a document; one that is too large is refused before it is read."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping | None = None
    ) -> Any:
        most = get_limits().max_bytes
        request = (parser_context or {})["request"]._request
        if int(request.META.get("CONTENT_LENGTH") or 0) > _most(request, most + FORM):
            discard(request)
            message = f"It is larger than {most:,} bytes."
            raise ValidationError({"file": [ErrorDetail(message, "too_large")]})
        return super().parse(stream, media_type, parser_context)


def _most(request: HttpRequest, most: int) -> int:
    """What comes in chunks is cut off after less: see `config.wsgi`."""
    is_chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    return min(most, settings.DATA_UPLOAD_MAX_MEMORY_SIZE) if is_chunked else most
