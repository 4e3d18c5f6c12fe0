"""Where the stream is served: by the live process, not by the web process."""

import re
from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException

PATH = "/api/v1/events/stream"
# The live process adds its `StreamLimits` to the requests that it gives to Django.
LIMITS_KEY = "bureau.stream_limits"


class MisdirectedRequest(APIException):
    """421: another process serves the stream."""

    status_code = 421
    default_code = "misdirected_request"

    def __init__(self, request: Any) -> None:
        super().__init__(f"The stream is not served here: use {stream_url(request)}.")


def stream_url(request: Any) -> str:
    """Return the stream's address: behind a proxy that of the installation, else `LIVE_PORT`."""
    if settings.LIVE_URL:
        return f"{settings.LIVE_URL}{PATH}"
    host = re.sub(r":\d+$", "", request.get_host())
    return f"{request.scheme}://{host}:{settings.LIVE_PORT}{PATH}"
