"""Where settings are read from, and which values stop the start."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.environment import BASE_DIR, Environment
from config.secret_strength import is_weak_key

STRONG = {
    "DEBUG": "false",
    "SECRET_KEY": "Zk3v9Qw7Rt5Yb1Nm8Kp4Ls6Xd2Hf0GjUe",
    "FIRST_SUPERUSER_PASSWORD": "violet-anchor-42",
    "DATABASE_URL": "postgresql://u:p@db:5432/bureau",
    "REDIS_URL": "redis://cache:6379/0",
    "ALLOWED_HOSTS": "bureau.example.com",
}


def test_without_variables_the_settings_suit_development(environment: Any) -> None:
    env = environment()
    assert env.debug is True
    assert env.uses_local_postgres
    assert env.uses_local_valkey
    assert env.admin_password == "admin123"


def test_each_clone_creates_its_own_secret_key(environment: Any, tmp_path: Path) -> None:
    keys = [environment(VAR_DIR=str(tmp_path / name)).signing_key for name in "aab"]
    assert keys[0] == keys[1] != keys[2]
    assert not is_weak_key(keys[0])
    assert (tmp_path / "a" / "secret_key").stat().st_mode & 0o077 == 0


def test_production_starts_with_all_required_settings(environment: Any) -> None:
    env = environment(**STRONG)
    assert env.debug is False
    assert env.signing_key == STRONG["SECRET_KEY"]


@pytest.mark.parametrize("name", [name for name in STRONG if name != "DEBUG"])
def test_production_reports_a_missing_setting(environment: Any, name: str) -> None:
    with pytest.raises(SystemExit, match=f"{name} is missing"):
        environment(**{key: value for key, value in STRONG.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "a" * 64),
        ("SECRET_KEY", "your-super-secure-secret-key-here-0123456789"),
        ("FIRST_SUPERUSER_PASSWORD", "admin123"),
        ("FIRST_SUPERUSER_PASSWORD", "password123"),
        ("FIRST_SUPERUSER_PASSWORD", "9482649264926492"),
        ("FIRST_SUPERUSER_PASSWORD", "Admin@example.com"),
    ],
)
def test_production_refuses_weak_secrets(environment: Any, name: str, value: str) -> None:
    with pytest.raises(SystemExit, match=f"{name} is missing or weak: set it to") as stop:
        environment(**STRONG | {name: value})
    assert value not in str(stop.value)


def test_all_wrong_settings_are_reported_at_once(environment: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        environment(PORT="http", OPENAI_TEMPERATURE="9")
    assert {line.split(":")[0] for line in str(stop.value).splitlines()[1:]} == {
        "- PORT",
        "- OPENAI_TEMPERATURE",
    }


def test_a_database_setting_means_production(environment: Any) -> None:
    with pytest.raises(SystemExit, match=r"SECRET_KEY[\s\S]*for development, set DEBUG=true"):
        environment(DATABASE_URL="postgresql://db/bureau")
    with pytest.raises(SystemExit) as stop:
        environment(DATABASE_URL="postgresql://db/bureau", DEBUG="0")
    assert "DEBUG" not in str(stop.value)


def test_weak_fallback_keys_and_metrics_tokens_are_refused_in_production(environment: Any) -> None:
    with pytest.raises(SystemExit, match="SECRET_KEY_FALLBACKS has a weak key"):
        environment(**STRONG, SECRET_KEY_FALLBACKS="your-secret-key-change-in-production")
    with pytest.raises(SystemExit, match="METRICS_TOKEN is weak"):
        environment(**STRONG, METRICS_TOKEN="metrics")
    environment(**STRONG, METRICS_TOKEN="x7Kp2mQ9vT4bL8nR")


def test_the_own_servers_may_be_used_in_production_if_a_setting_says_so(environment: Any) -> None:
    secrets = {name: STRONG[name] for name in ("DEBUG", "SECRET_KEY", "FIRST_SUPERUSER_PASSWORD")}
    env = environment(**secrets, EMBEDDED_SERVERS="true")
    assert (env.debug, env.uses_local_postgres, env.uses_local_valkey) == (False, True, True)
    assert env.served_hosts == ["localhost", "127.0.0.1", "[::1]"]
    with pytest.raises(SystemExit, match=r"DATABASE_URL is missing[\s\S]*REDIS_URL is missing"):
        environment(DEBUG="true", EMBEDDED_SERVERS="false")


def test_urls_are_built_from_their_parts(environment: Any) -> None:
    env = environment(
        DEBUG="1",
        POSTGRES_HOST="db",
        POSTGRES_USER="me",
        POSTGRES_PASSWORD="p@ss/word",
        POSTGRES_DB="office",
        REDIS_HOST="cache",
        REDIS_DB="3",
    )
    assert env.database_url == "postgresql://me:p%40ss%2Fword@db:5432/office"
    assert env.redis_url == "redis://cache:6379/3"


@pytest.mark.parametrize("value", ["a.org,b.org", " a.org , b.org ,", '["a.org", "b.org"]'])
def test_lists_are_read_with_commas_or_as_json(environment: Any, value: str) -> None:
    assert environment(ALLOWED_HOSTS=value).allowed_hosts == ["a.org", "b.org"]


def test_upload_folders_are_below_var_unless_they_are_absolute(environment: Any) -> None:
    env = environment(VAR_DIR="/var/bureau", UPLOAD_ROOT="/srv/uploads")
    assert (env.upload_source_root, env.upload_root) == (
        Path("/var/bureau/sources"),
        Path("/srv/uploads"),
    )


def test_buckets_are_listed_by_company(environment: Any) -> None:
    assert environment(S3_BUCKETS='{"acme": ["a", "b"]}').s3_buckets == {"acme": ["a", "b"]}
    with pytest.raises(SystemExit, match="S3_BUCKETS"):
        environment(S3_BUCKETS='{"acme": "a"}')


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://feed.example", "https://feed.example/posts"),
        ("https://feed.example/", "https://feed.example/posts"),
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080/posts"),
        ("http://[fd00::7]:8080/", "http://[fd00::7]:8080/posts"),
        ("https://feed.example?format=json", "https://feed.example/posts?format=json"),
        ("https://feed.example/posts", "https://feed.example/posts"),
        ("https://feed.example/posts/", "https://feed.example/posts/"),
        ("https://feed.example/api/news", "https://feed.example/api/news"),
    ],
)
def test_the_feed_may_be_a_url_with_or_without_a_path(
    environment: Any, value: str, url: str
) -> None:
    assert environment(POSTS_API_URL=value).feed_url == url


@pytest.mark.parametrize(
    "value",
    [
        "feed.example",
        "ftp://feed.example/posts",
        "file:///etc/passwd",
        "https://",
        "https:///posts",
        "https://user:secret@feed.example/posts",
        "https://feed.example:0/posts",
        "https://feed.example:99999/posts",
        "https://[fd00/posts",
        "https://feed.example/a b",
    ],
)
def test_an_invalid_url_of_the_feed_stops_the_start(environment: Any, value: str) -> None:
    with pytest.raises(SystemExit, match="POSTS_API_URL") as stop:
        environment(POSTS_API_URL=value)
    assert "secret" not in str(stop.value)


def test_only_development_has_a_feed_by_default(environment: Any) -> None:
    assert environment().feed_url == "https://jsonplaceholder.typicode.com/posts"
    assert environment(**STRONG).feed_url == environment(**STRONG, POSTS_API_URL="").feed_url == ""


def test_an_empty_variable_counts_as_unset(environment: Any) -> None:
    assert environment(DATABASE_URL="", PORT="").port == 8000


def test_the_environment_overrides_the_env_file(environment: Any, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=8100\nGRPC_PORT=50100\n")
    env = environment(ENV_FILE=str(file), PORT="8200")
    assert (env.port, env.grpc_port) == (8200, 50100)


def test_secrets_are_read_from_files(environment: Any, tmp_path: Path) -> None:
    for name, value in {"key": STRONG["SECRET_KEY"], "password": "p@ss word", "old": "a,b"}.items():
        (tmp_path / name).write_text(f"{value}\n")
    env = environment(
        SECRET_KEY_FILE=str(tmp_path / "key"),
        SECRET_KEY_FALLBACKS_FILE=str(tmp_path / "old"),
        REDIS_HOST="cache",
        REDIS_PASSWORD_FILE=str(tmp_path / "password"),
    )
    assert env.signing_key == STRONG["SECRET_KEY"]
    assert env.secret_key_fallbacks == ["a", "b"]
    assert env.redis_url == "redis://:p%40ss%20word@cache:6379/0"


def test_a_variable_overrides_a_secret_file_and_that_the_env_file(
    environment: Any, tmp_path: Path
) -> None:
    (tmp_path / "port").write_text("8300")
    (tmp_path / ".env").write_text("PORT=8100\n")
    files = {"PORT_FILE": str(tmp_path / "port"), "ENV_FILE": str(tmp_path / ".env")}
    assert environment(**files).port == 8300
    assert environment(**files, PORT="8200").port == 8200


def test_a_missing_secret_file_is_reported(environment: Any) -> None:
    with pytest.raises(SystemExit, match="/nowhere can't be read: No such file") as stop:
        environment(SECRET_KEY_FILE="/nowhere")
    assert "Bureau can't start." in str(stop.value)


def test_a_wrong_setting_ends_the_start_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=BASE_DIR,
        env={"PATH": "", "ENV_FILE": "/dev/null", "DEBUG": "false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Bureau can't start.\n- SECRET_KEY is missing or weak: set it to")
    assert "Traceback" not in done.stderr


def test_env_example_lists_every_setting() -> None:
    listed = {
        line.removeprefix("#").partition("=")[0]
        for line in (BASE_DIR / ".env.example").read_text().splitlines()
        if "=" in line
    }
    assert listed == {name.upper() for name in Environment.model_fields}
