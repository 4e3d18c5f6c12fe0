from django.conf import settings
from rest_framework.request import Request
from rest_framework.views import APIView

from common.ratelimit.rates import parse_requests_per
from common.ratelimit.throttles import ApiThrottle, client_key, make_windows
from common.ratelimit.windows import Window


class AiThrottle(ApiThrottle):
    """Also applies `RATE_LIMIT_PER_MINUTE` and `RATE_LIMIT_PER_HOUR` to POSTs.

    All routes that use AI share the counts.
    """

    def get_windows(self, request: Request, view: APIView) -> list[Window]:
        windows = super().get_windows(request, view)
        if request.method != "POST":
            return windows
        rates = (
            *parse_requests_per(settings.RATE_LIMIT_PER_MINUTE, "minute"),
            *parse_requests_per(settings.RATE_LIMIT_PER_HOUR, "hour"),
        )
        return windows + make_windows(f"ai:{client_key(request)}", rates)
