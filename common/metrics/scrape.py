"""The response to a scrape: the values of all processes and those read from the database."""

import platform
from collections.abc import Callable, Iterable, Iterator

import django
import structlog
from django.conf import settings
from django.db import connection, transaction
from prometheus_client import CollectorRegistry, Metric, exposition
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from common.metrics import multiprocess, registry
from common.redaction import redacted_message
from common.single_flight import SingleFlight

log = structlog.get_logger(__name__)

DATABASE_TIMEOUT_S = 1.0
STATEMENT_TIMEOUT_MS = 800

_database_collectors: list[Callable[[], Iterable[Metric]]] = []


def register_database_collector(collect: Callable[[], Iterable[Metric]]) -> None:
    """Call `collect` at each scrape, in one short transaction with all other collectors."""
    _database_collectors.append(collect)


def render(accept: str = "", *, with_database: bool = True) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the format that the client accepts.

    If the database is down, `bureau_database_up` is 0 and its metrics are missing.
    """
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(ScrapeCollector(with_database=with_database))
    # prometheus-client's own negotiation fails on version parameters that are not numbers.
    text_format = openmetrics if "application/openmetrics-text" in accept else exposition
    return text_format.generate_latest(collectors), text_format.CONTENT_TYPE_LATEST


class ScrapeCollector:
    """The prometheus-client collector of one scrape."""

    def __init__(self, *, with_database: bool) -> None:
        self._with_database = with_database

    def collect(self) -> Iterator[Metric]:
        if multiprocess.is_shared():
            yield from MultiProcessCollector.merge(multiprocess.files())
        else:
            yield from registry.REGISTRY.collect()
        yield _build_info()
        if self._with_database:
            yield from _collect_from_database()


def _build_info() -> Metric:
    labels = {
        "version": settings.VERSION,
        "revision": settings.REVISION,
        "python": platform.python_version(),
        "django": django.get_version(),
    }
    family = GaugeMetricFamily("bureau_build_info", "The running versions.", labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def _collect_from_database() -> Iterator[Metric]:
    metrics: list[Metric] = []
    try:
        metrics = _database_read.call(timeout_s=DATABASE_TIMEOUT_S)
    except TimeoutError:
        log.warning("metrics_without_database", error="timeout")
    except Exception as error:
        log.warning("metrics_without_database", error=redacted_message(error))
    yield GaugeMetricFamily(
        "bureau_database_up", "Whether the database answered in time.", value=float(bool(metrics))
    )
    yield from metrics


def _read_database() -> list[Metric]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            return [metric for collect in _database_collectors for metric in collect()]
    finally:
        connection.close()


_database_read: SingleFlight[list[Metric]] = SingleFlight("metrics", _read_database)
