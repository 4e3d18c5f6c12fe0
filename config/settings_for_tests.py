"""Settings of the test suite: its own servers and data below `var/test/`, and its own models.

Neither `.env` nor the shell changes them, except for the servers of a machine that has some:
`DATABASE_URL_TEST` (or `DATABASE_URL`), where the database `test_<name>` is created; `REDIS_URL`.
"""

import os
import re
from pathlib import Path

from config.environment import BASE_DIR, Environment, read_setting

TEST_ENVIRONMENT = {
    "ENV_FILE": os.devnull,
    # Another folder allows two runs of the suite at a time.
    "VAR_DIR": os.environ.get("TEST_VAR_DIR") or str(BASE_DIR / "var" / "test"),
    "DEBUG": "true",
    "BUREAU_NOTICES": "off",
    "LOG_FORMAT": "json",
    # Nothing listens there: tests open no outside connections.
    "POSTS_API_URL": "http://127.0.0.1:1/posts",
    "JOB_LEASE_SECONDS": "2",
    "JOB_SWEEP_SECONDS": "0.5",
}

# A worker process that a test starts keeps the environment that the test gave it.
if os.environ.get("ENV_FILE") != os.devnull:
    if database_url := read_setting("DATABASE_URL_TEST"):
        os.environ["DATABASE_URL"] = database_url
    for name in {name.upper() for name in Environment.model_fields} - {"DATABASE_URL", "REDIS_URL"}:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ |= TEST_ENVIRONMENT
    # Every scrape would read the metrics of earlier runs too.
    for file in Path(TEST_ENVIRONMENT["VAR_DIR"]).glob("metrics/**/*.db"):
        file.unlink()
# Each process of pytest-xdist has metrics of its own, as have the workers that it starts.
metrics = Path(TEST_ENVIRONMENT["VAR_DIR"]) / "metrics"
if os.environ.get("PROMETHEUS_MULTIPROC_DIR", str(metrics)) == str(metrics):
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics / process)

from config import settings as app_settings  # noqa: E402
from config.settings import *  # noqa: E402, F403

INSTALLED_APPS = [*app_settings.INSTALLED_APPS, "common.tests"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
EMAIL_USE_TLS = False

# Each process of pytest-xdist has its own database in Valkey, and the next one for messages.
_xdist_worker = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
REDIS_URL = re.sub(r"\?db=0$", f"?db={2 * int(_xdist_worker)}", app_settings.REDIS_URL)
CACHES = {"default": {**app_settings.CACHES["default"], "LOCATION": REDIS_URL}}
CELERY_BROKER_URL = app_settings.env.celery_broker_url or app_settings.broker_url(REDIS_URL)
