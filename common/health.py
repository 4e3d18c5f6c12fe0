"""Whether the process lives, and whether all that it needs is there."""

import time
from collections.abc import Callable

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from common.api.problems import problem
from common.redaction import redacted_message
from common.single_flight import Inquiry, TooSlow, within

log = structlog.get_logger(__name__)

PATIENCE = 1.5
WORKER_PATIENCE = 1.0


@csrf_exempt
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database, the cache, the broker and a worker answer, else a 503 naming which."""
    # All at once, so that together they take no longer than the slowest.
    for check in CHECKS.values():
        check.start()
    deadline = time.monotonic() + PATIENCE
    parts = {name: _outcome(name, check, deadline) for name, check in CHECKS.items()}
    failed = [name for name, outcome in parts.items() if outcome != "ok"]
    if not failed:
        return JsonResponse({"status": "ok", "checks": parts})
    document = problem(503, detail=f"Not ready: {', '.join(failed)}.", code="not_ready")
    response = JsonResponse(
        document | {"checks": parts}, status=503, content_type="application/problem+json"
    )
    response["Retry-After"] = "2"
    return response


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _cache() -> None:
    cache.get("ready")


def _broker() -> None:
    with current_app.connection_for_write(connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, timeout=1, interval_start=0, interval_step=0)


def _worker() -> None:
    if not current_app.control.inspect(timeout=WORKER_PATIENCE, limit=1).ping():
        raise LookupError("no worker answers")


_parts: dict[str, Callable[[], None]] = {
    "database": _database,
    "cache": _cache,
    "broker": _broker,
    "worker": _worker,
}
CHECKS = {name: Inquiry(f"ready-{name}", check) for name, check in _parts.items()}


def _outcome(name: str, check: Inquiry[None], deadline: float) -> str:
    try:
        check.answer(within(deadline))
    except TooSlow:
        return "too slow"
    except Exception as error:
        log.warning("not_ready", part=name, error=redacted_message(error))
        return "away"
    return "ok"
