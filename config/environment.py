"""The settings that are read from the environment or `.env`, typed and validated.

A missing or bad value stops the start with one sentence for each wrong setting. The names that
the five earlier services used still work. `NAME_FILE` names a file that contains the value of
`NAME`: containers pass secrets that way.
"""

import json
import os
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    NumericPasswordValidator,
)
from django.core.exceptions import ValidationError as WeakPassword
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from common.ratelimit.addresses import parse_networks
from common.ratelimit.rates import parse_rates, parse_requests_per

BASE_DIR = Path(__file__).resolve().parent.parent
DEVELOPMENT_PASSWORD = "admin123"  # noqa: S105 - only accepted with DEBUG
PLACEHOLDER = re.compile(r"change|your[-_ ]|secret[-_ ]?key|insecure|example|password", re.I)


def _parse_list(value: Any) -> Any:
    """Parse `a,b` or `["a", "b"]`: the earlier services used both."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_rates(text: str) -> str:
    parse_rates(text)
    return text


def _check_count(text: str) -> str:
    try:
        parse_requests_per(text, "minute")
    except ValueError:
        raise ValueError(f"{text!r} is neither a number from 1 to 100000 nor off.") from None
    return text


def _check_networks(texts: list[str]) -> list[str]:
    parse_networks(tuple(texts))
    return texts


Names = Annotated[list[str], NoDecode, BeforeValidator(_parse_list)]
Rates = Annotated[str, AfterValidator(_check_rates)]
Count = Annotated[str, AfterValidator(_check_count)]


class FileSecretsSource(EnvSettingsSource):
    """Reads `SECRET_KEY` from the file that `SECRET_KEY_FILE` names; likewise every setting."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = super()._load_env_vars()
        return {
            name: Path(path).read_text().removesuffix("\n")
            for name in self.settings_cls.model_fields
            if (path := variables.get(f"{name}_file"))
        }


class Environment(BaseSettings):
    """The settings, by their environment names in lower case; `.env.example` explains each."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", validate_default=True)

    debug: bool | None = None
    secret_key: SecretStr = SecretStr("")
    secret_key_fallbacks: Names = []
    allowed_hosts: Names = []
    cors_origins: Names = []
    csrf_trusted_origins: Names = []
    trusted_proxies: Annotated[Names, AfterValidator(_check_networks)] = []
    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    grpc_port: int = Field(50051, ge=1, le=65535)
    var_dir: Path = BASE_DIR / "var"
    static_root: Path | None = None
    revision: str = ""
    metrics_token: SecretStr = SecretStr("")
    metrics_allow: Annotated[Names, AfterValidator(_check_networks)] = []
    metrics_port: int | None = Field(None, ge=1, le=65535)
    prometheus_multiproc_dir: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] | None = None

    database_url: str = ""
    postgres_host: str = ""
    postgres_port: int = 5432
    postgres_user: str = "postgres"
    postgres_password: SecretStr = SecretStr("")
    postgres_db: str = "bureau"
    database_pool_size: int = Field(8, ge=1)
    redis_url: str = ""
    redis_host: str = ""
    redis_port: int = 6379
    redis_password: SecretStr = SecretStr("")
    redis_db: int = 0
    byte_cache_max_mb: int = Field(64, ge=4)
    celery_broker_url: str = ""

    first_superuser: str = "admin@example.com"
    first_superuser_password: SecretStr = SecretStr("")
    signup: Literal["open", "company", "invite"] | None = None
    default_company_code: str = Field("default", pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    access_token_expire_minutes: int = Field(30, ge=1)
    refresh_token_expire_days: int = Field(7, ge=1)

    api_rate_limit: Rates = "600/minute,10000/hour"
    auth_rate_limit: Rates = "10/minute"
    auth_account_rate_limit: Rates | None = None
    rate_limit_per_minute: Count = "10"
    rate_limit_per_hour: Count = "100"

    email_host: str = ""
    email_port: int = 587
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    email_use_tls: bool = True
    email_use_ssl: bool = False
    default_from_email: str = "Bureau <bureau@localhost>"

    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-4o-mini"
    openai_max_tokens: int = Field(500, ge=1)
    openai_temperature: float = Field(0.3, ge=0, le=2)
    openai_timeout: float = Field(30, gt=0)
    openai_attempts: int = Field(3, ge=1, le=10)
    openai_context_tokens: int = Field(16_000, ge=4_000)
    openai_prices: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    openai_concurrency: int = Field(4, ge=1, le=50)

    document_max_bytes: int = Field(10_000_000, ge=1_000, le=100_000_000)
    document_max_unpacked_bytes: int = Field(100_000_000, ge=100_000)
    document_max_pages: int = Field(1_000, ge=1)
    document_max_characters: int = Field(4_000_000, ge=1_000)
    document_memory_mb: int = Field(512, ge=128)
    document_seconds: int = Field(30, ge=1, le=600)

    upload_storage: Literal["folder", "s3"] = "folder"
    upload_source_root: Path = Path("sources")
    upload_root: Path = Path("uploads")
    upload_fsync: bool = False
    s3_endpoint_url: str = ""
    s3_region: str = "us-east-1"
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")
    s3_buckets: dict[str, list[str]] = {}
    upload_url_seconds: int = Field(3600, ge=60, le=604_800)
    upload_url_max_bytes: int = Field(5 * 1024**3, ge=1)

    posts_api_url: str = Field(
        "https://jsonplaceholder.typicode.com/posts", pattern=r"^https?://[^\s/]+"
    )
    posts_refresh_seconds: float = Field(300, ge=1)
    posts_timeout: float = Field(20, gt=0)
    posts_max_bytes: int = Field(10_000_000, ge=1)
    posts_max_count: int = Field(10_000, ge=1)

    job_lease_seconds: int = Field(15, ge=2)
    job_sweep_seconds: float = Field(3, gt=0)
    worker_concurrency: int = Field(2, ge=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by precedence, the strongest first."""
        return init_settings, env_settings, FileSecretsSource(settings_cls), dotenv_settings

    @model_validator(mode="after")
    def _derive_and_check(self) -> Self:
        if not self.database_url and self.postgres_host:
            self.database_url = self._postgres_url_from_parts()
        if not self.redis_url and self.redis_host:
            self.redis_url = self._redis_url_from_parts()
        is_derived = self.debug is None
        if is_derived:
            self.debug = self.uses_local_postgres
        if not self.var_dir.is_absolute():
            self.var_dir = BASE_DIR / self.var_dir
        self.upload_source_root = self.var_dir / self.upload_source_root
        self.upload_root = self.var_dir / self.upload_root
        if not self.debug and (problems := self._production_problems()):
            if is_derived:
                problems.append(
                    "A database is set, so this is production; for development, set DEBUG=true."
                )
            raise ValueError("\n".join(problems))
        return self

    def _postgres_url_from_parts(self) -> str:
        user, password = (
            quote(self.postgres_user, ""),
            quote(self.postgres_password.get_secret_value(), ""),
        )
        return f"postgresql://{user}:{password}@{self.postgres_host}:{self.postgres_port}/{self.postgres_db}"

    def _redis_url_from_parts(self) -> str:
        password = quote(self.redis_password.get_secret_value(), "")
        credentials = f":{password}@" if password else ""
        return f"redis://{credentials}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    def _production_problems(self) -> list[str]:
        checks = {
            "SECRET_KEY is missing or weak: set it to at least 32 random characters, for "
            "example with `python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`.": (
                not is_weak_key(self.secret_key.get_secret_value())
            ),
            "FIRST_SUPERUSER_PASSWORD is missing or weak: set it to at least 10 characters "
            "that are not a common password.": (
                not is_weak_password(self.first_superuser_password.get_secret_value())
            ),
            "DATABASE_URL is missing: set it to postgresql://user:password@host:5432/name.": (
                bool(self.database_url)
            ),
            "REDIS_URL is missing: set it to redis://host:6379/0.": bool(self.redis_url),
        }
        return [sentence for sentence, is_safe in checks.items() if not is_safe]

    @property
    def uses_local_postgres(self) -> bool:
        return not self.database_url and not self.postgres_host

    @property
    def uses_local_valkey(self) -> bool:
        return not self.redis_url and not self.redis_host

    @property
    def metrics_dir(self) -> Path:
        """The folder in which the processes of this machine share their metrics."""
        return self.prometheus_multiproc_dir or self.var_dir / "metrics"

    @property
    def admin_password(self) -> str:
        """The first superuser's password; the well-known one is only used with `DEBUG`."""
        password = self.first_superuser_password.get_secret_value()
        return password or (DEVELOPMENT_PASSWORD if self.debug else "")

    @cached_property
    def signing_key(self) -> str:
        """`SECRET_KEY`, or in development a random key that is kept under `var/`."""
        return self.secret_key.get_secret_value() or _read_or_create_key(
            self.var_dir / "secret_key"
        )


def is_weak_key(key: str) -> bool:
    return len(key) < 32 or len(set(key)) < 8 or bool(PLACEHOLDER.search(key))


def is_weak_password(password: str) -> bool:
    try:
        CommonPasswordValidator().validate(password)
        NumericPasswordValidator().validate(password)
    except WeakPassword:
        return True
    return len(password) < 10


def is_set(name: str) -> bool:
    """Return whether the environment or `.env` gives a setting a value."""
    return bool(os.environ.get(name) or dotenv_values(env_file()).get(name))


def env_file() -> str:
    """Return the path of the settings file: `ENV_FILE`, or `.env`."""
    return os.environ.get("ENV_FILE") or str(BASE_DIR / ".env")


def load() -> Environment:
    """Read the settings, or exit with a sentence for each wrong one."""
    try:
        return Environment(_env_file=env_file())  # type: ignore[call-arg]
    except ValidationError as error:
        raise SystemExit(f"Bureau can't start.\n{_sentences(error)}") from None
    except OSError as error:
        reason = f"{error.filename} can't be read: {error.strerror}."
        raise SystemExit(f"Bureau can't start.\n- {reason}") from None


def _sentences(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]).upper() + ": " if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        lines += [f"- {name}{line}" for line in text.splitlines()]
    return "\n".join(lines)


def _read_or_create_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()
