"""Liveness and readiness of the process."""

import time
from collections.abc import Callable
from functools import partial

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from common import heartbeats
from common.api.problems import CONTENT_TYPE, problem
from common.redaction import redacted_message
from common.single_flight import SingleFlight

log = structlog.get_logger(__name__)

CHECKS_TIMEOUT_S = 1.5
WORKER_PING_TIMEOUT_S = 1.0


@csrf_exempt
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """Return 200 whenever the process answers at all."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Return 200 if database, cache, broker and a worker answer, else 503.

    With `?all=1` also if a live stream and a beat process work.
    """
    checks = CHECKS | (OTHER_CHECKS if request.GET.get("all") == "1" else {})
    # All checks start first, so that together they take as long as the slowest.
    for check in checks.values():
        check.start()
    deadline = time.monotonic() + CHECKS_TIMEOUT_S
    results = {name: _get_result(name, check, deadline) for name, check in checks.items()}
    failed = [name for name, result in results.items() if result != "ok"]
    if not failed:
        return JsonResponse({"status": "ok", "checks": results})
    document = problem(503, detail=f"Not ready: {', '.join(failed)}.", code="not_ready")
    response = JsonResponse(document | {"checks": results}, status=503, content_type=CONTENT_TYPE)
    response["Retry-After"] = "2"
    return response


def _check_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _check_cache() -> None:
    cache.get("ready")


def _check_broker() -> None:
    with current_app.connection_for_write(connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, timeout=1, interval_start=0, interval_step=0)


def _check_worker() -> None:
    if not current_app.control.inspect(timeout=WORKER_PING_TIMEOUT_S, limit=1).ping():
        raise LookupError("no worker answers")


_CHECK_FUNCTIONS: dict[str, Callable[[], None]] = {
    "database": _check_database,
    "cache": _check_cache,
    "broker": _check_broker,
    "worker": _check_worker,
}
_OTHER_CHECK_FUNCTIONS: dict[str, Callable[[], None]] = {
    "beat": partial(heartbeats.check, heartbeats.BEAT),
    "live": partial(heartbeats.check, heartbeats.LIVE),
}


def _single_flights(functions: dict[str, Callable[[], None]]) -> dict[str, SingleFlight[None]]:
    return {name: SingleFlight(f"ready-{name}", check) for name, check in functions.items()}


CHECKS = _single_flights(_CHECK_FUNCTIONS)
OTHER_CHECKS = _single_flights(_OTHER_CHECK_FUNCTIONS)


def _get_result(name: str, check: SingleFlight[None], deadline: float) -> str:
    try:
        check.call(timeout_s=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return "timeout"
    except Exception as error:
        log.warning("not_ready", check=name, error=redacted_message(error))
        return "unavailable"
    return "ok"
