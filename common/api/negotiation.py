from collections.abc import Sequence

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from common.api.exceptions import RequestTooLarge
from common.api.request_body import DEFAULT_MAX_BODY_BYTES, parse_content_length


class ContentNegotiation(DefaultContentNegotiation):
    """Also refuses a body that is larger than its parser's or view's `max_body_bytes`.

    DRF selects the parser before it reads the body, whichever code asks for the body first.
    """

    def select_parser(self, request: Request, parsers: Sequence[BaseParser]) -> BaseParser | None:
        parser: BaseParser | None = super().select_parser(request, parsers)
        if parser is not None:
            view = request.parser_context["view"]
            view_limit = getattr(view, "max_body_bytes", DEFAULT_MAX_BODY_BYTES)
            _check_size(request, getattr(parser, "max_body_bytes", view_limit))
        return parser


def _check_size(request: Request, limit: int) -> None:
    if parse_content_length(request._request) > limit:
        raise RequestTooLarge(f"The request body is too large: at most {limit:,} bytes.")
