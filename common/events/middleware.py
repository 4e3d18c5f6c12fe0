from collections.abc import Callable
from typing import Any

import structlog
from django.db import Error, transaction
from django.http import HttpRequest, HttpResponse

from common.events.models import Outcome
from common.events.recording import record
from common.redaction import redacted_message

log = structlog.get_logger(__name__)


class DeniedRequestMiddleware:
    """Records each 403 that a signed-in client gets, from the API and from the admin site.

    The request's own transaction has ended by then, and a failure does not change the response.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 403:
            _record_denial(request)
        return response


def _record_denial(request: HttpRequest) -> None:
    match = request.resolver_match
    try:
        user: Any = request.user
        if user.is_authenticated and match:
            with transaction.atomic():
                record(
                    "access.denied",
                    by=user,
                    target=None,
                    company_id=user.company_id,
                    label=f"{request.method} /{match.route}",
                    outcome=Outcome.DENIED,
                )
    except Error as error:
        log.warning("denial_not_recorded", error=redacted_message(error))
