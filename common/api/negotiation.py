import re
from collections.abc import Sequence

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from common.api.exceptions import RequestTooLarge
from common.api.request_body import DEFAULT_MAX_BODY_BYTES, parse_content_length

# `application/problem+json`, `text/json` and the media types of vendors.
JSON_TYPE = re.compile(r"\s*(application|text)/([\w.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)


class ContentNegotiation(DefaultContentNegotiation):
    """Also accepts other names of JSON, and limits the size of bodies.

    A body may not be larger than its parser's or view's `max_body_bytes`. DRF selects the parser
    before it reads the body, whichever code asks for the body first.
    """

    def get_accept_list(self, request: Request) -> list[str]:
        """Return the accepted media types, with `application/json` if one is another name of it.

        An empty header accepts everything.
        """
        accepted = [media_type for media_type in super().get_accept_list(request) if media_type]
        if not accepted:
            return ["*/*"]
        if any(JSON_TYPE.fullmatch(media_type) for media_type in accepted):
            accepted.append("application/json")
        return accepted

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
