"""Every bad value stops the start with sentences, never with a traceback."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("ALLOWED_HOSTS", "https://api.example.com/", ["api.example.com"]),
        (
            "ALLOWED_HOSTS",
            "API.example.com:8000, example.com/x",
            ["api.example.com", "example.com"],
        ),
        ("ALLOWED_HOSTS", ".example.com,[::1]:8000,::1", [".example.com", "[::1]", "[::1]"]),
        ("ALLOWED_HOSTS", "[::1],[fd00::1]:8000", ["[::1]", "[fd00::1]"]),
        ("ALLOWED_HOSTS", "müller.de", ["xn--mller-kva.de"]),
        ("ALLOWED_HOSTS", '["*"]', ["*"]),
        (
            "CORS_ORIGINS",
            "https://App.example.com/,*,null",
            ["https://app.example.com", "*", "null"],
        ),
        (
            "CORS_ORIGINS",
            "https://a.org:443,http://a.org:8080",
            ["https://a.org", "http://a.org:8080"],
        ),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.com", ["https://*.example.com"]),
        ("PUBLIC_URL", "https://bureau.example.com/", "https://bureau.example.com"),
        ("OPENAI_BASE_URL", "http://llm:11434/v1/", "http://llm:11434/v1"),
        ("OPENAI_BASE_URL", "https://a.org/x?api-version=1", "https://a.org/x?api-version=1"),
        ("OPENAI_BASE_URL", "https://a.org/v1/chat/completions", "https://a.org/v1"),
        ("OPENAI_BASE_URL", "https://a.org/v1/chat/completions/?a=1", "https://a.org/v1?a=1"),
        ("OPENAI_BASE_URL", " https://a.org/v1/?a= ", "https://a.org/v1?a="),
        ("OPENAI_BASE_URL", "https://a.org/", "https://a.org"),
        ("OPENAI_TEMPERATURE", "0", 0.0),
        ("OPENAI_TEMPERATURE", "", None),
        ("OPENAI_TEMPERATURE", " ", None),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("PORT", " 8100\n", 8100),
        ("OPENAI_MODEL", " ", "gpt-4o-mini"),
    ],
)
def test_values_that_have_one_meaning_are_read(
    environment: Any, name: str, value: str, read: Any
) -> None:
    assert getattr(environment(**{name: value}), name.lower()) == read


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ALLOWED_HOSTS", "*.example.com", "for all subdomains write .example.com"),
        ("ALLOWED_HOSTS", "10.0.0.0/8", "'10.0.0.0/8' is a network"),
        ("ALLOWED_HOSTS", "fd00::/8", "'fd00::/8' is a network"),
        ("ALLOWED_HOSTS", "a b", "'a b' is not a host name"),
        ("ALLOWED_HOSTS", '["a"', "is not valid JSON"),
        ("CORS_ORIGINS", "app.example.com", "is not an origin such as https"),
        ("CORS_ORIGINS", "https://a.org/app", "is not an origin"),
        ("CORS_ORIGINS", "https://*.a.org", "is not an origin"),
        ("PUBLIC_URL", "bureau.example.com", "must start with http"),
        ("PUBLIC_URL", "https://a.org?x", "must not contain a query"),
        ("OPENAI_BASE_URL", "api.openai.com/v1", "must start with http:// or https://"),
        ("OPENAI_BASE_URL", "https:///v1", "no valid host or port"),
        ("OPENAI_BASE_URL", "https://a.org:x/v1", "no valid host or port"),
        ("OPENAI_BASE_URL", "https://me:pw@a.org/v1", "neither credentials nor a fragment"),
        ("OPENAI_BASE_URL", "localhost:11434/v1", "must start with http:// or https://"),
        ("OPENAI_BASE_URL", "https:/a.org/v1", "must start with http:// or https://"),
        ("OPENAI_BASE_URL", "https://a.org/v1/completions?x=1", "address of Chat Completions"),
        ("OPENAI_BASE_URL", "https://a.org/v1/responses/", "address of Chat Completions"),
        ("OPENAI_API_KEY", "sk-1 sk-2", "contains a space"),
        ("OPENAI_API_KEY", "sk-ä", "not ASCII"),
        ("OPENAI_API_KEY", "sk-1\nsk-2", "a line end"),
        ("OPENAI_API_KEY", "sk-1\\n", "a line end"),
        ("OPENAI_API_KEY", "Bearer sk-1", "contains a space"),
        ("OPENAI_API_KEY", "'sk-1'", "leave them out"),
        ("OPENAI_TEMPERATURE", "2.1", "less than or equal to 2"),
        ("OPENAI_TEMPERATURE", "warm", "valid number"),
        ("OPENAI_PRICES", "{", "is not valid JSON"),
        ("OPENAI_PRICES", '{"a": [1, 2]}', "Field required"),
        ("OPENAI_PRICES", '{"a": [-1, 2, 3]}', "greater than or equal to 0"),
        ("OPENAI_MAX_TOKENS", "16000", "at least 1000 below OPENAI_CONTEXT_TOKENS"),
        ("OPENAI_TIMEOUT", "inf", "finite"),
        ("FIRST_SUPERUSER", "admin", "'admin' is not an email address"),
        ("POSTGRES_PORT", "65536", "less than or equal to 65535"),
        ("POSTGRES_HOST", "db:5432", "has a port, which is a setting of its own"),
        ("DB_HOST", "postgresql://db", "is not a host name or an address"),
        ("REDIS_HOST", "redis://cache", "is not a host name or an address"),
        ("EMAIL_HOST", "smtp.example.com:587", "has a port"),
        ("EMAIL_PORT", "0", "greater than or equal to 1"),
        ("WEB_THREADS", "many", "valid integer"),
        ("JOB_LEASE_SECONDS", "9" * 20, "less than or equal to 86400"),
        ("VAR_DIR", "/dev/null/x", "VAR_DIR can't be created: /dev/null is not a folder"),
    ],
)
def test_a_bad_value_stops_the_start(
    environment: Any, name: str, value: str, sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence) as refusal:
        environment(DEBUG="true", **{name: value})
    assert name in str(refusal.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\n\n"])
def test_white_space_around_a_key_is_removed(environment: Any, end: str) -> None:
    assert environment(OPENAI_API_KEY=f"sk-1{end}").provider_key == "sk-1"


def test_a_provider_at_an_address_of_ones_own_needs_no_key(environment: Any) -> None:
    assert environment().provider_key == ""
    assert environment(OPENAI_BASE_URL="https://api.openai.com/v1").provider_key == ""
    assert environment(OPENAI_BASE_URL="http://API.openai.com:443/v1?a=1").provider_key == ""
    own = environment(OPENAI_BASE_URL="http://localhost:11434/v1")
    assert own.provider_key == "none"
    assert "Requests to the AI provider localhost have no key: OPENAI_API_KEY is not set." in (
        own.notices()
    )


def test_the_temperature_is_left_out_only_if_it_is_set_to_nothing(
    environment: Any, tmp_path: Any
) -> None:
    (tmp_path / "empty").write_text("OPENAI_TEMPERATURE=\n")
    (tmp_path / "set").write_text("OPENAI_TEMPERATURE=0.7\n")
    empty, filled = str(tmp_path / "empty"), str(tmp_path / "set")
    assert environment().openai_temperature == 0.3
    assert environment(ENV_FILE=empty).openai_temperature is None
    assert environment(ENV_FILE=empty, OPENAI_TEMPERATURE="1").openai_temperature == 1
    # As with all settings, an empty variable does not override the file.
    assert environment(ENV_FILE=filled, OPENAI_TEMPERATURE="").openai_temperature == 0.7


def test_a_model_without_a_provider_is_named_at_the_start(environment: Any) -> None:
    assert "OPENAI_MODEL is not used: without OPENAI_API_KEY, the embedded summariser is used." in (
        environment(OPENAI_MODEL="gpt-4").notices()
    )


def test_a_start_on_the_own_database_says_so(
    environment: Any, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("BUREAU_NOTICES", "new")
    env = environment()
    for _ in range(2):
        env.show_notices()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["The database is this clone's own"]
    assert list(environment(DEBUG="true", DATABASE_URL="postgresql://db/x").notices()) == []


def test_an_env_file_that_is_not_a_file_is_refused(environment: Any, tmp_path: Any) -> None:
    (tmp_path / "latin").write_bytes(b"PUBLIC_URL=http://m\xfcller.de\n")
    for file in (tmp_path, tmp_path / "latin", tmp_path / "missing"):
        with pytest.raises(SystemExit, match=f"{file} (is not a file|can't be read)"):
            environment(ENV_FILE=str(file))


def test_a_secret_file_in_another_encoding_is_refused(environment: Any, tmp_path: Any) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(SystemExit, match="key can't be read: it is not UTF-8"):
        environment(SECRET_KEY_FILE=str(tmp_path / "key"))
