from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class RateLimitHeadersMiddleware:
    """Puts what a throttle found (`request.rate_limit`) on the answer, whatever the answer is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if verdict := getattr(request, "rate_limit", None):
            for name, value in verdict.headers.items():
                response[name] = value
        return response
