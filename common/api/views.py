from typing import Any, ClassVar

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView as BaseAPIView

from common.api.query_parameters import check_parameters
from common.api.request_body import DEFAULT_MAX_BODY_BYTES
from common.api.unknown_fields import reject_body


class APIView(BaseAPIView):
    """The base of all views of the API.

    It refuses unknown and repeated query parameters and bodies over `max_body_bytes`, and caches
    may not store its responses. A view adds to `query_parameters` those that its own code reads.
    """

    query_parameters: tuple[str, ...] = ()
    # Further ones, of GET and HEAD only.
    read_parameters: tuple[str, ...] = ()
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    # The handlers of POST that take no body, and refuse one with fields.
    handlers_without_body: tuple[str, ...] = ()
    # `{name: alias}` of the parameters that the client sent by another name.
    sent_aliases: ClassVar[dict[str, str]] = {}

    def perform_authentication(self, request: Request) -> None:
        """Refuse a method that the route does not have, whoever asks, before anything else."""
        method = str(request.method).lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(request)
        super().perform_authentication(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.query_params and hasattr(self, str(request.method).lower()):
            self.sent_aliases = check_parameters(request, self)  # type: ignore[misc]
        if (getattr(self, "action", None) or "post") in self.handlers_without_body:
            reject_body(request.data)

    def handle_exception(self, exc: Exception) -> Response:
        """Name parameters in errors as the client named them."""
        if self.sent_aliases and isinstance(exc, ValidationError) and isinstance(exc.detail, dict):
            exc.detail = {self.sent_aliases.get(n, n): error for n, error in exc.detail.items()}
        return super().handle_exception(exc)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.setdefault("Cache-Control", "no-store")
        return response
