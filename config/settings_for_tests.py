"""The settings of the suite: servers and data below `var/test/`, and models that only tests need.

Neither a developer's `.env` nor their shell changes what the tests find; only `DATABASE_URL` and
`REDIS_URL` are taken over, for a machine that has servers already.
"""

import os
import re

from config.environment import BASE_DIR, Environment

TEST_ENVIRONMENT = {
    "ENV_FILE": os.devnull,
    # Another folder lets two runs of the suite go side by side.
    "VAR_DIR": os.environ.get("TEST_VAR_DIR") or str(BASE_DIR / "var" / "test"),
    "DEBUG": "true",
    "LOG_FORMAT": "json",
    # Nobody listens there: tests open no connections to the outside.
    "POSTS_API_URL": "http://127.0.0.1:1/posts",
    "JOB_LEASE_SECONDS": "2",
    "JOB_SWEEP_SECONDS": "0.5",
}

# A worker that a test starts finds the mark set, and keeps what the test gave it.
if os.environ.get("ENV_FILE") != os.devnull:
    for name in {name.upper() for name in Environment.model_fields} - {"DATABASE_URL", "REDIS_URL"}:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ |= TEST_ENVIRONMENT

from config import settings as base  # noqa: E402
from config.settings import *  # noqa: E402, F403

INSTALLED_APPS = [*base.INSTALLED_APPS, "common.tests"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
EMAIL_USE_TLS = False

# Each process of pytest-xdist has a database of its own in Valkey, and the next for its messages.
_process = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
REDIS_URL = re.sub(r"\?db=0$", f"?db={2 * int(_process)}", base.REDIS_URL)
CACHES = {"default": {**base.CACHES["default"], "LOCATION": REDIS_URL}}
CELERY_BROKER_URL = base.env.celery_broker_url or base._broker(REDIS_URL)
