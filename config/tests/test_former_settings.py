"""The settings of the five earlier services, as their documents give them."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from config.environment import BASE_DIR
from config.settings import jobs

# Every setting of the earlier services, with the value of their documents.
ACCOUNTS_AND_POSTS = {
    "DATABASE_URL": "postgresql://arcodify:secret@localhost:5432/arcodify_db",
    "REDIS_URL": "redis://localhost:6379/0",
    "SECRET_KEY": "your-secret-key",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "30",
    "POSTS_API_URL": "https://jsonplaceholder.typicode.com",
    "CELERY_BROKER_URL": "redis://localhost:6379/0",
    "DEBUG": "True",
}
CATALOG = {
    "DATABASE_URL": "postgresql+asyncpg://test:test@localhost:5432/test_db",
    "REDIS_URL": "redis://localhost:6379/0",
    "SECRET_KEY": "test-secret-key-for-ci-pipeline",
    "OPENAI_API_KEY": "sk-xxx",
    "AI_MODEL": "gpt-4",
    "EMBEDDING_MODEL": "text-embedding-ada-002",
    "DEBUG": "true",
}
NOTES = {
    "POSTGRES_HOST": "localhost",
    "POSTGRES_PORT": "5432",
    "POSTGRES_USER": "user",
    "POSTGRES_PASSWORD": "password",
    "POSTGRES_DB": "proksi_db",
    "REDIS_HOST": "localhost",
    "REDIS_PORT": "6379",
    "REDIS_DB": "0",
    "SECRET_KEY": "your-secret-key",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "60",
    "FIRST_SUPERUSER": "admin@example.com",
    "FIRST_SUPERUSER_PASSWORD": "admin123",
    "DEBUG": "true",
}
SUMMARIES = {
    "DEBUG": "true",
    "SECRET_KEY": "your-secret-key-here",
    "DATABASE_URL": "postgresql://user:password@localhost:5432/easymate",
    "DATABASE_URL_TEST": "postgresql://user:password@localhost:5432/easymate_test",
    "REDIS_URL": "redis://localhost:6379/0",
    "CELERY_BROKER_URL": "redis://localhost:6379/1",
    "CELERY_RESULT_BACKEND": "redis://localhost:6379/2",
    "OPENAI_API_KEY": "your-openai-api-key",
    "OPENAI_MODEL": "gpt-3.5-turbo",
    "OPENAI_MAX_TOKENS": "500",
    "OPENAI_TEMPERATURE": "0.3",
    "ALLOWED_HOSTS": '["*"]',
    "RATE_LIMIT_PER_MINUTE": "10",
    "RATE_LIMIT_PER_HOUR": "100",
}
UPLOADS = {
    "DB_HOST": "localhost",
    "DB_PORT": "5432",
    "DB_NAME": "data_uploader",
    "DB_USER": "uploader",
    "DB_PASSWORD": "uploader_pass",
    "REDIS_HOST": "localhost",
    "REDIS_PORT": "6379",
    "REDIS_DB": "0",
    "JWT_SECRET": "your-secret-key-change-in-production",
    "JWT_ALGORITHM": "HS256",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "30",
    "REFRESH_TOKEN_EXPIRE_DAYS": "7",
    "CORS_ORIGINS": '["http://localhost:3000","http://localhost:8080"]',
    "DEBUG": "true",
}
# Without DEBUG=true these are production, which refuses such secrets.


@pytest.mark.parametrize(
    ("settings", "database"),
    [
        (ACCOUNTS_AND_POSTS, "postgresql://arcodify:secret@localhost:5432/arcodify_db"),
        (CATALOG, "postgresql://test:test@localhost:5432/test_db"),
        (NOTES, "postgresql://user:password@localhost:5432/proksi_db"),
        (SUMMARIES, "postgresql://user:password@localhost:5432/easymate"),
        (UPLOADS, "postgresql://uploader:uploader_pass@localhost:5432/data_uploader"),
    ],
    ids=["accounts and posts", "catalog", "notes", "summaries", "uploads"],
)
def test_the_settings_of_an_earlier_service_work(
    environment: Any, settings: dict[str, str], database: str
) -> None:
    env = environment(**settings)
    assert env.database_url == database
    assert env.redis_url == "redis://localhost:6379/0"
    assert env.signing_key == settings.get("SECRET_KEY", settings.get("JWT_SECRET"))
    # Every name is known, so none is dropped silently.
    assert {name.lower() for name in settings} <= env.model_fields_set


def test_a_former_name_sets_the_new_one(environment: Any) -> None:
    env = environment(**UPLOADS, AI_MODEL="gpt-4", OPENAI_API_KEY="sk-1")
    assert env.postgres_password.get_secret_value() == "uploader_pass"
    assert env.openai_model == "gpt-4"
    assert list(env.notices()) == []


def test_a_new_name_wins_over_its_former_name_and_the_start_says_so(environment: Any) -> None:
    env = environment(JWT_SECRET="old", DB_PORT="5433", **NOTES)
    assert (env.signing_key, env.postgres_port) == ("your-secret-key", 5432)
    assert list(env.notices()) == [
        "DB_PORT is not used: POSTGRES_PORT has another value.",
        "JWT_SECRET is not used: SECRET_KEY has another value.",
    ]


@pytest.mark.parametrize("algorithm", ["RS256", "none", "HS512"])
def test_only_the_algorithm_of_the_tokens_is_accepted(environment: Any, algorithm: str) -> None:
    with pytest.raises(SystemExit, match="JWT_ALGORITHM: Only HS256 is supported"):
        environment(JWT_ALGORITHM=algorithm)


def test_settings_without_an_effect_are_named_at_the_start(environment: Any) -> None:
    env = environment(**SUMMARIES)
    assert list(env.notices()) == [
        "CELERY_RESULT_BACKEND is not used: results of tasks are rows of the database.",
    ]
    assert list(environment(**SUMMARIES | {"CELERY_RESULT_BACKEND": "django-db"}).notices()) == []


def test_celery_does_not_read_its_variables_around_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Celery prefers CELERY_RESULT_BACKEND of the environment to its configuration.
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://localhost:6379/2")
    importlib.reload(jobs)
    assert Celery(set_as_current=False).conf.result_backend == "django-db"


def test_the_test_suite_uses_a_database_of_its_own_at_the_given_address(tmp_path: Path) -> None:
    script = "from django.conf import settings; print(settings.DATABASES['default'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=BASE_DIR,
        env={
            "PATH": "",
            "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
            "TEST_VAR_DIR": str(tmp_path),
            "DATABASE_URL": "postgresql://u:p@db:5432/bureau",
            "DATABASE_URL_TEST": "postgresql+asyncpg://u:p@testdb:5432/easymate_test",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'HOST': 'testdb'" in done.stdout
    assert "'NAME': 'easymate_test'" in done.stdout


def test_an_error_names_a_setting_as_it_was_set(environment: Any) -> None:
    with pytest.raises(SystemExit, match=r"- DB_PORT: Input should be a valid integer"):
        environment(**UPLOADS | {"DB_PORT": "x"})


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"JWT_SECRET": "weak"}, "JWT_SECRET"),
        ({"SECRET_KEY": "weak"}, "SECRET_KEY"),
        ({"SECRET_KEY": "weak", "JWT_SECRET": "b7" * 8 + "qXv3-Kd9" * 4}, "SECRET_KEY"),
    ],
)
def test_an_error_names_the_setting_whose_value_is_used(
    environment: Any, settings: dict[str, str], name: str
) -> None:
    with pytest.raises(SystemExit, match=f"- {name} is missing or weak"):
        environment(**settings, DEBUG="false")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"DB_PASSWORD": "x"},
            "DB_HOST and DB_USER and DB_NAME are missing, but DB_PASSWORD is set",
        ),
        ({"DB_HOST": "x"}, "DB_USER and DB_NAME are missing, but DB_HOST is set"),
        ({"DB_HOST": "x", "DB_NAME": "x"}, "DB_USER is missing, but DB_NAME is set"),
        ({"DB_NAME": "x", "DB_USER": "x"}, "DB_HOST is missing"),
        ({"POSTGRES_USER": "x"}, "POSTGRES_HOST and POSTGRES_DB are missing, but POSTGRES_USER"),
        ({"POSTGRES_PORT": "5433"}, "POSTGRES_HOST and POSTGRES_USER and POSTGRES_DB are missing"),
        ({"REDIS_PASSWORD": "x"}, "REDIS_HOST is missing, but REDIS_PASSWORD is set"),
        ({"REDIS_DB": "1"}, "REDIS_HOST is missing, but REDIS_DB is set"),
        ({"EMAIL_HOST_USER": "x", "EMAIL_HOST_PASSWORD": "y"}, "EMAIL_HOST is missing"),
        ({"EMAIL_HOST": "x", "EMAIL_HOST_USER": "x"}, "Set both EMAIL_HOST_USER and"),
        ({"S3_ACCESS_KEY_ID": "x"}, "Set both S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"),
    ],
)
def test_an_incomplete_group_of_settings_stops_the_start(
    environment: Any, settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence):
        environment(**settings)


def test_parts_of_a_database_that_a_url_replaces_are_ignored(environment: Any) -> None:
    url = "postgresql://u:p@db/x"
    assert environment(DEBUG="true", DATABASE_URL=url, DB_PASSWORD="x").database_url == url
