from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.authentication import InvalidToken
from accounts.models import User
from common.ratelimit.rates import parse_rates
from common.ratelimit.throttles import ApiThrottle, client_key, make_windows
from common.ratelimit.windows import Window
from integrations.live.address import LIMITS_KEY, MisdirectedRequest
from integrations.live.credentials import Credential, find_users
from integrations.live.tickets import InvalidTicket, redeem_ticket

# After a restart of the live process, all streams of a user are opened again at once.
STREAM_RATE_LIMIT = "3000/minute"


class TicketAuthentication(BaseAuthentication):
    """Authentication by a ticket in the URL, which is used up."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        ticket = request.query_params.get("ticket")
        if not ticket:
            return None
        if LIMITS_KEY not in request.META:
            raise MisdirectedRequest(request)
        try:
            # `stream_url` contains the ticket, and a client may have added it once more.
            credential = redeem_ticket(ticket.partition("?")[0])
        except InvalidTicket:
            raise InvalidToken("This ticket is wrong, older than 30 s, or used.") from None
        user = find_users([credential]).get(credential)
        if user is None:
            raise InvalidToken("The login of this ticket has ended.")
        return user, credential

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="bureau"'


class StreamThrottle(ApiThrottle):
    """Allows a signed-in user more streams in a minute than other requests."""

    def get_windows(self, request: Request, view: Any) -> list[Window]:
        is_limited = bool(parse_rates(settings.API_RATE_LIMIT))
        if not is_limited or not request.user.is_authenticated:
            return super().get_windows(request, view)
        return make_windows(f"stream:{client_key(request)}", parse_rates(STREAM_RATE_LIMIT))
