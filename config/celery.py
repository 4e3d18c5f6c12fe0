"""The Celery application. Its tasks are thin: see `common.jobs` for what makes work durable."""

import gc
import os
from typing import Any

from celery import Celery, beat
from celery.signals import beat_init, setup_logging, worker_init, worker_ready
from django.conf import settings
from django.db import close_old_connections
from kombu import Exchange, Queue

from common.logs import configure

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("bureau")
app.config_from_object("django.conf:settings", namespace="CELERY")

# The default exchange needs no bindings. Those are kept in the broker, and after a flush of Redis
# each message would be refused until a worker starts anew.
_direct = Exchange("")
app.conf.task_queues = [
    Queue(name, exchange=_direct, routing_key=name) for name in ("jobs", "bulk", "control")
]
app.conf.task_default_queue = "jobs"
app.conf.task_default_exchange = ""
app.conf.task_default_routing_key = "jobs"
app.autodiscover_tasks()


class Scheduler(beat.Scheduler):
    """Beat, which sweeps jobs by itself.

    Sent to a queue, a sweep would wait for a worker that is busy with the very jobs it looks
    after and expire, or pile up while there is no worker.
    """

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **options: Any
    ) -> Any:
        if entry.task != "common.tasks.sweep_jobs":
            return super().apply_async(entry, producer=producer, advance=advance, **options)
        close_old_connections()
        try:
            self.app.tasks[entry.task]()
        finally:
            close_old_connections()
        return None


@worker_ready.connect
@beat_init.connect
def _serve_metrics(**_: Any) -> None:
    from common.metrics.exporter import start_exporter

    start_exporter()


@worker_init.connect
def _prepare_children(**_: Any) -> None:
    """Load once for all children what each would load anew with its first summary."""
    from common import ai

    ai.summarizer()
    keep_what_is_loaded()


def keep_what_is_loaded() -> None:
    """Look for garbage no more in what is there by now.

    Each full collection would go through all of Django and hold up every thread for 80 ms, and a
    child would make its own copy of the memory that it shares with its parent.
    """
    gc.collect()
    gc.freeze()


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    """Keep Celery from putting its own handlers in the place of ours."""
    configure(settings.LOGGING)
