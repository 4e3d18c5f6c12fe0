"""Send the message of a job: "a job of this kind is due in this queue"."""

import time
from datetime import timedelta

import structlog
from celery import current_app
from kombu.pools import ProducerPool, producers

from common.jobs.metrics import record_publish_failure
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

RUN_NEXT_JOB_TASK = "common.tasks.run_next_job"
# A worker reads its queues in turn, so that a single job does not wait behind hundreds that were
# created in bulk. `config/celery.py` declares the queues.
DEFAULT_QUEUE = "jobs"
BULK_QUEUE = "bulk"
BROKER_TIMEOUT_S = 1.0
BROKER_RETRY_INTERVAL_S = 2.0
# With the soft limit a run can still store its end; the hard limit kills its process.
HARD_LIMIT_MARGIN_S = 60.0
_broker_unavailable_until = 0.0


def publish(label: str, *, queue: str, time_limit: timedelta | None = None) -> bool:
    """Send one message to `queue`; return `False` if the broker is unavailable.

    `label` is the label of the model (`app_label.ModelName`), `time_limit` limits the run.

    Never raises, because the row is committed already: the sweeper sends a failed message again.
    After a failure no message is sent for two seconds. Then only one caller tries, so that a broker
    that hangs delays one request instead of all.
    """
    global _broker_unavailable_until
    now = time.monotonic()
    if now < _broker_unavailable_until:
        return False
    if _broker_unavailable_until:
        _broker_unavailable_until = now + BROKER_TIMEOUT_S + BROKER_RETRY_INTERVAL_S
    try:
        with _producers().acquire(block=True, timeout=BROKER_TIMEOUT_S) as producer:
            current_app.send_task(
                RUN_NEXT_JOB_TASK,
                args=(label, queue),
                queue=queue,
                producer=producer,
                retry=False,
                **celery_time_limits(time_limit),
            )
    except Exception as error:
        _broker_unavailable_until = time.monotonic() + BROKER_RETRY_INTERVAL_S
        record_publish_failure(label)
        log.warning("job_not_published", kind=label, error=redacted_message(error))
        return False
    _broker_unavailable_until = 0.0
    return True


def celery_time_limits(time_limit: timedelta | None) -> dict[str, float]:
    """Return the options for `send_task`; none without a time limit."""
    if time_limit is None:
        return {}
    seconds = time_limit.total_seconds()
    return {"soft_time_limit": seconds, "time_limit": seconds + HARD_LIMIT_MARGIN_S}


def queue_length(queue: str) -> int:
    """Return the number of messages in `queue`; 0 if the broker does not answer."""
    try:
        with _producers().acquire(block=True, timeout=BROKER_TIMEOUT_S) as producer:
            return producer.channel.queue_declare(queue=queue, passive=True).message_count
    except Exception:
        return 0


def _producers() -> ProducerPool:
    """Return a pool of connections with short timeouts, for use during a request.

    Celery's default connections retry for six seconds if the broker is down, and wait five seconds
    if it hangs. Workers need these defaults to read from the queues.
    """
    options = {
        "max_retries": 0,
        "socket_timeout": BROKER_TIMEOUT_S,
        "socket_connect_timeout": BROKER_TIMEOUT_S,
    }
    connection = current_app.connection_for_write(
        connect_timeout=BROKER_TIMEOUT_S, transport_options=options
    )
    return producers[connection]
