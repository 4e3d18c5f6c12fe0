from collections.abc import Iterable

from django.http import StreamingHttpResponse


def file_response(parts: Iterable[bytes], content_type: str, name: str) -> StreamingHttpResponse:
    """Return a file that is sent in parts, for the client to save."""
    return StreamingHttpResponse(
        parts,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
