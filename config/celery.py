"""The Celery application. `common.jobs` makes the work durable, not Celery."""

import gc
import os
from contextlib import suppress
from typing import Any

from celery import Celery, beat
from celery.signals import beat_init, setup_logging, worker_init, worker_ready
from django.conf import settings
from django.db import close_old_connections
from kombu import Exchange, Queue
from redis.exceptions import RedisError

from common.logs import configure

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("bureau")
app.config_from_object("django.conf:settings", namespace="CELERY")

# The default exchange needs no bindings. Bindings live in the broker: after a flush of Redis every
# message would be refused until a worker restarts.
_default_exchange = Exchange("")
app.conf.task_queues = [
    Queue(name, exchange=_default_exchange, routing_key=name)
    for name in ("jobs", "bulk", "control", "mail", "password-resets", "uploads")
]
app.conf.task_default_queue = "control"
app.conf.task_default_exchange = ""
app.conf.task_default_routing_key = "control"
app.autodiscover_tasks()


class Scheduler(beat.Scheduler):
    """A beat that sweeps jobs in its own process.

    A sweep in a queue would wait behind the jobs that it sweeps. Without a worker, sweeps would
    expire or pile up.
    """

    def apply_async(
        self, entry: Any, producer: Any = None, advance: bool = True, **options: Any
    ) -> Any:
        if entry.task != "common.tasks.sweep_jobs":
            return super().apply_async(entry, producer=producer, advance=advance, **options)
        close_old_connections()
        try:
            _beat()
            self.app.tasks[entry.task]()
        finally:
            close_old_connections()
        return None


def _beat() -> None:
    """Say that beat works; without Valkey nobody could read it."""
    from common import heartbeats

    with suppress(RedisError, OSError):
        heartbeats.beat(heartbeats.BEAT, lifetime_s=3 * settings.JOB_SWEEP_SECONDS + 10)


@worker_init.connect
@beat_init.connect
def _prepare_database(**_: Any) -> None:
    from common.startup import prepare_database

    prepare_database()


@worker_ready.connect
@beat_init.connect
def _serve_metrics(**_: Any) -> None:
    from common.metrics.exporter import start_exporter

    start_exporter()


@worker_init.connect
def _preload_before_fork(sender: Any, **_: Any) -> None:
    """Load what jobs need before the fork, so that the children share its memory."""
    from common import ai
    from common.ai import embeddings

    queues = sender.app.amqp.queues.consume_from
    if "jobs" in queues:
        ai.summarizer()
    if "control" in queues:
        embeddings.embedder(embeddings.current_model())
    freeze_loaded_objects()


def freeze_loaded_objects() -> None:
    """Exclude all current objects from garbage collection.

    A full collection of Django's modules takes 80 ms, and makes a forked child copy the memory
    that it shares with its parent.
    """
    gc.collect()
    gc.freeze()


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    """Configure our logging; without this handler Celery installs its own."""
    configure(settings.LOGGING)
