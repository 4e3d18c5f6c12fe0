"""The message of a job: "look at row X"."""

import time
from typing import Any

import structlog
from celery import current_app

log = structlog.get_logger(__name__)

RUN_JOB = "common.tasks.run_job"
PAUSE_AFTER_FAILURE = 2.0
_broker_away_until = 0.0


def publish(label: str, pk: Any) -> bool:
    """Send the message of one job; `False` where the broker is away.

    Never raises: the row is committed already, and the sweeper sends what this could not.
    After a failure the next two seconds' messages are left to the sweeper at once, so that a
    broker that hangs delays one request and not all of them.
    """
    global _broker_away_until
    if time.monotonic() < _broker_away_until:
        return False
    try:
        current_app.send_task(RUN_JOB, args=(label, str(pk)), queue="jobs", retry=False)
    except Exception as error:
        _broker_away_until = time.monotonic() + PAUSE_AFTER_FAILURE
        log.warning("job_not_published", job=str(pk), kind=label, error=repr(error))
        return False
    return True
