from django.conf import settings
from django.http import HttpRequest

CHUNK_BYTES = 65_536
MAX_DRAINED_BYTES = 128 * 1_048_576
# A description of 20,000 characters, each of them written as two `\uXXXX`, and other fields.
DEFAULT_MAX_BODY_BYTES = 512 * 1024
# Passwords, names and tokens; strangers may send these bodies.
SIGN_IN_MAX_BODY_BYTES = 16 * 1024


def parse_content_length(request: HttpRequest) -> int:
    """Return the `Content-Length`, or 0 without a valid one; Django reads no more than that."""
    try:
        return max(0, int(request.META.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def is_too_large(request: HttpRequest, limit: int) -> bool:
    """Return whether the body has more than `limit` bytes; decided without reading it.

    The server cuts off a chunked body (`config.wsgi`), so a longer one is not complete.
    """
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        limit = min(limit, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return parse_content_length(request) > limit


def drain_request_body(request: HttpRequest) -> None:
    """Read and discard a rejected request body, up to `MAX_DRAINED_BYTES`.

    Most clients read the response only after sending the whole body. If the server closed the
    connection earlier, they would report a broken connection instead of the error.
    """
    for _ in range(MAX_DRAINED_BYTES // CHUNK_BYTES):
        if not request.read(CHUNK_BYTES):
            return
