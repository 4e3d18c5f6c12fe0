"""The page of an unhandled error shows no secret of the settings."""

import sys
from typing import Any

import pytest
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_class

from config.environment import Environment

SECRETS = {
    "SECRET_KEY": "Zk3v9Qw7Rt5Yb1Nm8Kp4Ls6Xd2Hf0GjUe",
    "SECRET_KEY_FALLBACKS": "Old3v9Qw7Rt5Yb1Nm8Kp4Ls6Xd2Hf0Gj",
    "FIRST_SUPERUSER_PASSWORD": "violet-anchor-42",
    "OPENAI_API_KEY": "sk-1234567890",
    "S3_SECRET_ACCESS_KEY": "s3/secret+key",
    "EMAIL_HOST_PASSWORD": "mail's <pass>",
    "METRICS_TOKEN": "x7Kp2mQ9vT4bL8nR",
}
OTHERS = {
    "DEBUG": "true",
    "S3_ACCESS_KEY_ID": "bureau",
    "EMAIL_HOST": "mail",
    "EMAIL_HOST_USER": "bureau",
    "DATABASE_URL": "postgresql://me:data%26base-pw@db:5432/office",
    "REDIS_URL": "redis://:redis-pw@cache:6379/0",
    "CELERY_BROKER_URL": "amqp://guest:b1@mq:5672//",
}
HIDDEN = [
    *SECRETS.values(),
    "data%26base-pw",
    "data&amp;base-pw",
    "redis-pw",
    "guest:b1@",
    "u:b1@",
    "mail&#x27;s",
]


class Wrapper:
    """An object whose `repr` shows its value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Wrapper({self.value!r})"


def fail_with_secrets(env: Environment) -> None:
    database_url, broker = env.database_url, env.celery_broker_url
    headers = {"Authorization": f"Bearer {env.provider_key}", "x": [env.signing_key.encode()]}
    wrapper = Wrapper(env.email_host_password.get_secret_value())
    conninfo = "host=db password=data&base-pw"
    raise ValueError(f"no connection to {database_url}", [broker, headers, wrapper, conninfo])


@pytest.mark.parametrize("kind", ["html", "text"])
def test_no_secret_of_the_settings_is_shown(
    environment: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    env = environment(**SECRETS, **OTHERS)
    settings.DEBUG = True
    settings.DEFAULT_EXCEPTION_REPORTER = "common.debug_page.MaskingExceptionReporter"
    settings.DEBUG_PAGE_SECRETS = env.secret_values()
    settings.DATABASE_URL, settings.POSTS_API_URL = env.database_url, "http://u:b1@feed/posts"
    settings.CONFIGURATION = {"urls": [env.redis_url], "environment": env}
    request = RequestFactory().get("/", **SECRETS, **OTHERS)  # runserver's META has the environment
    try:
        fail_with_secrets(env)
    except ValueError:
        reporter = get_exception_reporter_class(request)(request, *sys.exc_info())
    page = reporter.get_traceback_html() if kind == "html" else reporter.get_traceback_text()
    assert [secret for secret in HIDDEN if secret in page] == []
    # The parts that help to find the bug are still shown.
    for text in ("fail_with_secrets", "no connection to postgresql://me:****", "@db:5432/office"):
        assert text in page
