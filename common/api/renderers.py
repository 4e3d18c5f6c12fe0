from typing import Any

from rest_framework import renderers

from common.api.exceptions import ResponseTooLarge

MAX_RESPONSE_BYTES = 8_000_000


class JSONRenderer(renderers.JSONRenderer):
    """Renders JSON of at most `MAX_RESPONSE_BYTES`; raises `ResponseTooLarge` for more."""

    def render(self, *args: Any, **kwargs: Any) -> bytes:
        body: bytes = super().render(*args, **kwargs)
        check_response_size(len(body))
        return body


def check_response_size(size: int) -> None:
    """Raise `ResponseTooLarge` for a body of more than `MAX_RESPONSE_BYTES`."""
    if size > MAX_RESPONSE_BYTES:
        raise ResponseTooLarge(
            f"The response would have {size / 1_000_000:.1f} MB, but at most "
            f"{MAX_RESPONSE_BYTES // 1_000_000} MB are sent. Ask for a smaller `page_size`, or "
            "name fewer fields in `fields`."
        )
