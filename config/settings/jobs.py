"""Jobs and Celery: leases, sweeps, queues, time limits, the schedule."""

import os
from datetime import timedelta
from urllib.parse import parse_qs

from config.settings.database import REDIS_URL
from config.settings.runtime import env

# How long a run owns its job without renewing the lease.
JOB_LEASE = timedelta(seconds=env.job_lease_seconds)
JOB_SWEEP_SECONDS = env.job_sweep_seconds


def broker_url(redis_url: str) -> str:
    """Return the cache server's URL as Celery spells it.

    On a unix socket, messages use the database after the cache's.
    """
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    number = int(parse_qs(query).get("db", ["0"])[0])
    return f"redis+socket://{path}?virtual_host={number + 1}"


CELERY_BROKER_URL = env.celery_broker_url or broker_url(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    # Longer than the hard time limit: else a running task would be started again.
    "visibility_timeout": 3600,
    "retry_policy": {"timeout": 2.0, "max_retries": 0},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A worker also reconnects if the broker refuses writes (OOM, READONLY, MISCONF); else it would end.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TASK_SOFT_TIME_LIMIT = 1740
CELERY_WORKER_CONCURRENCY = env.worker_concurrency
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# With Redis a worker fetches only as many messages as it has free processes: a prefetched message
# would wait here while another worker is idle.
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_RESULT_BACKEND = "django-db"
# Celery prefers these two variables to the settings above, which are checked.
os.environ |= {
    name: value
    for name, value in {
        "CELERY_BROKER_URL": CELERY_BROKER_URL,
        "CELERY_RESULT_BACKEND": CELERY_RESULT_BACKEND,
    }.items()
    if name in os.environ
}
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=1)
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "config.celery:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "sweep-jobs": {
        "task": "common.tasks.sweep_jobs",
        "schedule": timedelta(seconds=JOB_SWEEP_SECONDS),
    },
    "refresh-vocabulary": {
        "task": "catalog.tasks.refresh_vocabulary",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "insert-pending-views": {
        "task": "catalog.tasks.insert_pending_views",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    # Co-views are counted by the first run after 2:00 UTC.
    "refresh-recommendations": {
        "task": "catalog.tasks.refresh_recommendations",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "request-embeddings": {
        "task": "catalog.tasks.request_embeddings",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "delete-old-import-rows": {
        "task": "catalog.tasks.delete_old_import_rows",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "close-lost-calls": {
        "task": "notes.tasks.close_lost_calls",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300},
    },
    "delete-expired-upload-urls": {
        "task": "uploads.tasks.delete_expired_urls",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "fill-upload-checksums": {
        "task": "uploads.tasks.fill_checksums",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600, "queue": "uploads"},
    },
    "refresh-posts": {
        "task": "posts.tasks.refresh_posts",
        "schedule": timedelta(seconds=env.posts_refresh_seconds),
        "options": {"expires": env.posts_refresh_seconds},
    },
    "delete-idempotency-records": {
        "task": "common.tasks.delete_idempotency_records",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
}
