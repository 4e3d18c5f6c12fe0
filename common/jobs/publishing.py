"""The message of a job: "look at row X"."""

import time
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from kombu.pools import ProducerPool, producers

from common import metrics
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

RUN_JOB = "common.tasks.run_job"
# Workers take from them in turn, so that a single job does not wait behind hundreds that came
# together. `config/celery.py` declares both.
JOBS = "jobs"
BULK = "bulk"
PATIENCE = 1.0
PAUSE_AFTER_FAILURE = 2.0
_broker_away_until = 0.0


def publish(label: str, pk: Any, *, queue: str, time_limit: timedelta | None = None) -> bool:
    """Send the message of one job to `queue`; `False` where the broker is away.

    `label` names the model ("notes.Summary"), `time_limit` bounds the run.

    Never raises: the row is committed already, and the sweeper sends what this could not.
    After a failure the next two seconds' messages are left to the sweeper at once, and then one
    is tried for all, so that a broker that hangs delays one request and not all of them.
    """
    global _broker_away_until
    now = time.monotonic()
    if now < _broker_away_until:
        return False
    if _broker_away_until:
        _broker_away_until = now + PATIENCE + PAUSE_AFTER_FAILURE
    try:
        with _producers().acquire(block=True, timeout=PATIENCE) as producer:
            current_app.send_task(
                RUN_JOB,
                args=(label, str(pk)),
                queue=queue,
                producer=producer,
                retry=False,
                **_limits(time_limit),
            )
    except Exception as error:
        _broker_away_until = time.monotonic() + PAUSE_AFTER_FAILURE
        metrics.job_not_published(label)
        log.warning("job_not_published", job=str(pk), kind=label, error=redacted_message(error))
        return False
    _broker_away_until = 0.0
    return True


def _limits(time_limit: timedelta | None) -> dict[str, float]:
    """Return Celery's time limits for a kind of job that has one of its own."""
    if time_limit is None:
        return {}
    seconds = time_limit.total_seconds()
    return {"soft_time_limit": seconds, "time_limit": seconds + 60}


def backlog(queue: str) -> int:
    """How many messages wait there for a worker; 0 where the broker does not tell."""
    try:
        with _producers().acquire(block=True, timeout=PATIENCE) as producer:
            return producer.channel.queue_declare(queue=queue, passive=True).message_count
    except Exception:
        return 0


def _producers() -> ProducerPool:
    """Connections for people who wait for an answer.

    Celery's own try for six seconds to reach a broker that is down, and wait five for one that
    hangs; a worker, which reads through them, needs them so.
    """
    quick = {"max_retries": 0, "socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    connection = current_app.connection_for_write(connect_timeout=PATIENCE, transport_options=quick)
    return producers[connection]
