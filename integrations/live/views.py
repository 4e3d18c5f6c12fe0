from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import AccessTokenAuthentication
from common.api.negotiation import ContentNegotiation
from common.api.validation import collect_errors
from common.api.views import APIView
from common.events.kinds import progress_types
from integrations.filters import TYPES_DESCRIPTION, parse_patterns, split_types
from integrations.live.address import LIMITS_KEY, MisdirectedRequest, stream_url
from integrations.live.authentication import StreamThrottle, TicketAuthentication
from integrations.live.credentials import Credential
from integrations.live.limits import StreamLimits
from integrations.live.stream import Stream
from integrations.live.tickets import LIFETIME_S, create_ticket
from integrations.pagination import parse_event_id


class EventStreamResponse(StreamingHttpResponse):
    """The headers of a stream, whose body the live process sends."""

    def __init__(self, stream: Stream) -> None:
        headers = {
            "Cache-Control": "no-cache, no-store",
            "Connection": "close",  # when the stream ends
            "X-Accel-Buffering": "no",  # by nginx
        }
        super().__init__((), content_type=EventStreamRenderer.media_type, headers=headers)
        self.stream = stream


class EventStreamRenderer(BaseRenderer):
    media_type = "text/event-stream"
    format = "sse"


class EventStreamNegotiation(ContentNegotiation):
    """There is one media type, which everyone gets who asks for the stream."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class TicketSerializer(serializers.Serializer):
    ticket = serializers.CharField(help_text="Valid for one stream.")
    expires_in = serializers.IntegerField(help_text="Seconds in which the stream must be opened.")
    stream_url = serializers.CharField(help_text="The stream's address, with the ticket.")


class EventTicketView(APIView):
    """Get a ticket for the stream, for browsers: an `EventSource` can't send a token."""

    handlers_without_body = ("post",)

    @extend_schema(request=None, responses=TicketSerializer, operation_id="events_ticket")
    def post(self, request: Request) -> Response:
        ticket = create_ticket(Credential.of_request(request))
        url = f"{stream_url(request)}?{urlencode({'ticket': ticket})}"
        document = {"ticket": ticket, "expires_in": LIFETIME_S, "stream_url": url}
        return Response(document)


STREAM_PARAMETERS = [
    OpenApiParameter("types", str, description=TYPES_DESCRIPTION),
    OpenApiParameter(
        "since", UUID, description="The `id` of an event: first, those after it are sent."
    ),
    OpenApiParameter("ticket", str, description="Of `POST /events/tickets`, instead of a token."),
    OpenApiParameter(
        "Last-Event-ID",
        str,
        OpenApiParameter.HEADER,
        description="As `since`, which it replaces: browsers send it when they reconnect.",
    ),
]


class EventStreamView(APIView):
    """Follow the events that the caller may see, as server-sent events.

    A process of its own serves the stream (`LIVE_PORT`); elsewhere this is 421. An event has its
    type as `event`, its id as `id`, and as `data` the same JSON as in the list. `since` or
    `Last-Event-ID` reads on without loss or repetition; `event: reset` says that history is gone.
    `session.progress`, `summary.progress` and `product_import.progress` have no id.
    """

    authentication_classes = (TicketAuthentication, AccessTokenAuthentication)
    content_negotiation_class = EventStreamNegotiation
    renderer_classes = (EventStreamRenderer,)
    throttle_classes = (StreamThrottle,)
    read_parameters = ("types", "since", "ticket")
    problem_statuses = (421, 503)

    @extend_schema(
        operation_id="events_stream",
        parameters=STREAM_PARAMETERS,
        responses={(200, "text/event-stream"): OpenApiResponse(str, "The stream; it has no end.")},
    )
    def get(self, request: Request) -> EventStreamResponse:
        limits: StreamLimits | None = request.META.get(LIMITS_KEY)
        if limits is None:
            raise MisdirectedRequest(request)
        patterns, since = collect_errors(
            lambda: _parse_types(request), lambda: _parse_since(request)
        )
        auth = request.auth
        credential = auth if isinstance(auth, Credential) else Credential.of_request(request)
        user: Any = request.user
        is_resumed = bool(since or request.headers.get("Last-Event-ID"))
        if request.method == "GET":
            limits.add(user.pk)
        return EventStreamResponse(
            Stream(credential, user, patterns=patterns, since=since, is_resumed=is_resumed)
        )


def _parse_types(request: Request) -> tuple[str, ...] | None:
    text = request.query_params.get("types", "").strip()
    if not text:
        return None
    return tuple(parse_patterns(split_types(text), field="types", other_types=progress_types()))


def _parse_since(request: Request) -> UUID | None:
    """Return the event of `Last-Event-ID`, which is newer than that in the URL, or of `since`."""
    if last_event_id := request.headers.get("Last-Event-ID", "").strip():
        try:
            return parse_event_id(last_event_id)
        except ValidationError:
            return None  # the client gets `reset`: an error would stop it for ever
    text = request.query_params.get("since", "")
    return parse_event_id(text) if text else None
