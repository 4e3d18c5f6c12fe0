"""Record who reads the audit log.

A reading is recorded once: the events of its further pages are those before its own event, so that
no page repeats an entry because the page before was recorded.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request

from common.api.text import shorten
from common.events import record
from common.events.models import Event
from common.events.recording import MAX_VALUE_CHARS
from common.ids import first_uuid7_of

MAX_PAUSE = timedelta(minutes=10)


def record_reading(request: Request, *, action: str = "audit.read") -> None:
    user: Any = request.user
    record(
        action, by=user, target=None, company_id=user.company_id, filters=_describe_filters(request)
    )


def find_reading(request: Request) -> Event | None:
    """Return the event of the reading that this page continues, if there is one."""
    if request.query_params.get("page", "").lstrip("0") in ("", "1"):
        return None
    readings = Event.objects.filter(
        id__gte=first_uuid7_of(timezone.now() - MAX_PAUSE),
        action="audit.read",
        actor_id=request.user.pk,
        actor_values__filters=_describe_filters(request),
    )
    return readings.order_by("-xid", "-sequence").first()


def _describe_filters(request: Request) -> str:
    """Return the parameters as they were sent, without the page."""
    parameters = request.query_params.copy()
    parameters.pop("page", None)
    return shorten(parameters.urlencode(), MAX_VALUE_CHARS - 1)
