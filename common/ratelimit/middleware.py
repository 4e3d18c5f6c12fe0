from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class RateLimitHeadersMiddleware:
    """Adds the `RateLimit-*` headers of `request.rate_limit` to every response, errors too.

    A refusal that a page shows as an error of its form also gets the status 429.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if decision := getattr(request, "rate_limit", None):
            for name, value in decision.headers.items():
                response[name] = value
            if not decision.allowed:
                response.status_code = 429
                response["Retry-After"] = str(decision.retry_after)
        return response
