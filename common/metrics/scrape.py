"""All that `/metrics` tells: the files of all processes, and what the database knows."""

import platform
from collections.abc import Callable, Iterable, Iterator

import django
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, Metric, exposition
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from common.jobs.models import ACTIVE, JobQuerySet, JobStatus
from common.jobs.runner import kinds
from common.metrics import instruments, multiprocess
from common.redaction import redacted_message
from common.single_flight import Inquiry, TooSlow

log = structlog.get_logger(__name__)

# Seconds that a scrape waits for the database, and that one statement may take there.
PATIENCE = 1.0
STATEMENT = 0.8

# What else the apps read from the database at each scrape: each gives its metrics.
SOURCES: list[Callable[[], Iterable[Metric]]] = []


def render(accept: str = "", *, with_database: bool = True) -> tuple[bytes, str]:
    """The figures and their content type, in the form that the client accepts.

    Never fails for a database that is away: `bureau_database_up` is 0 then.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Scrape(with_database=with_database))
    # The library's own choice trips over versions that are no numbers.
    form = openmetrics if "application/openmetrics-text" in accept else exposition
    return form.generate_latest(registry), form.CONTENT_TYPE_LATEST


class Scrape:
    """A collector of prometheus-client's for one scrape."""

    def __init__(self, *, with_database: bool) -> None:
        self._with_database = with_database

    def collect(self) -> Iterator[Metric]:
        if multiprocess.is_shared():
            yield from MultiProcessCollector.merge(multiprocess.files())
        else:
            yield from instruments.REGISTRY.collect()
        yield _build_info()
        if self._with_database:
            yield from _from_database()


def _build_info() -> Metric:
    facts = {
        "version": settings.VERSION,
        "revision": settings.REVISION,
        "python": platform.python_version(),
        "django": django.get_version(),
    }
    family = GaugeMetricFamily("bureau_build_info", "What runs here.", labels=list(facts))
    family.add_metric(list(facts.values()), 1)
    return family


def _from_database() -> Iterator[Metric]:
    found: list[Metric] = []
    try:
        found = _database.answer(PATIENCE)
    except TooSlow:
        log.warning("metrics_without_database", error="too slow")
    except Exception as error:
        log.warning("metrics_without_database", error=redacted_message(error))
    yield GaugeMetricFamily(
        "bureau_database_up", "Whether the database answered.", value=float(bool(found))
    )
    yield from found


def _read() -> list[Metric]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT * 1000:.0f}")
            return [*_jobs(), *(metric for source in SOURCES for metric in source())]
    finally:
        connection.close()


def _jobs() -> list[Metric]:
    """Of each kind and queue what is under way, by the index of active jobs alone."""
    families = {
        name: GaugeMetricFamily(f"bureau_jobs_{name}", text, labels=["kind", "queue"])
        for name, text in (
            ("queued", "Jobs that wait."),
            ("in_progress", "Jobs that run."),
            ("oldest_seconds", "How long the longest waiting job is overdue."),
        )
    }
    for model in kinds():
        for queue in model.queues():
            figures = _active(model.objects.in_queue(queue))
            for family, figure in zip(families.values(), figures, strict=True):
                family.add_metric([model._meta.label, queue], figure)
    return list(families.values())


def _active(jobs: JobQuerySet) -> tuple[int, int, float]:
    """How many are queued, how many in progress, and the seconds that the oldest is overdue."""
    waits, runs = Q(status=JobStatus.QUEUED), Q(status=JobStatus.IN_PROGRESS)
    found = jobs.filter(status__in=ACTIVE).aggregate(
        queued=Count("pk", filter=waits),
        running=Count("pk", filter=runs),
        oldest=Now() - Min("run_after", filter=waits),
    )
    oldest = found["oldest"].total_seconds() if found["oldest"] else 0.0
    return found["queued"], found["running"], max(0.0, oldest)


_database: Inquiry[list[Metric]] = Inquiry("metrics", _read)
