"""The settings that are read from the environment or `.env`, typed and validated.

A missing or bad value stops the start with one sentence for each wrong setting. The names that
the five earlier services used still work. `NAME_FILE` names a file that contains the value of
`NAME`: containers pass secrets that way.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config import server_urls
from config.former_settings import FormerSettings, find_former_name, rename
from config.setting_checks import (
    find_incomplete_settings,
    find_missing_servers,
    find_notices,
    find_production_problems,
)
from config.setting_types import (
    BrokerUrl,
    Buckets,
    CorsOrigins,
    Count,
    CsrfOrigins,
    DatabaseUrl,
    Email,
    FeedUrl,
    HeaderSecret,
    Host,
    HostNames,
    HttpUrl,
    LogLevel,
    Names,
    Networks,
    Port,
    Prices,
    ProviderUrl,
    PublicUrl,
    Rates,
    RedisUrl,
    ServerHost,
    Temperature,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DEVELOPMENT_FEED_URL = "https://jsonplaceholder.typicode.com/posts"
DEVELOPMENT_PASSWORD = "admin123"  # noqa: S105 - only accepted with DEBUG
OPENAI_HOST = "api.openai.com"
OPENAI_URL = f"https://{OPENAI_HOST}/v1"
LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
# The children of a process don't repeat its notices.
NOTICES_VARIABLE = "BUREAU_NOTICES"


class FileSecretsSource(EnvSettingsSource):
    """Reads `SECRET_KEY` from the file that `SECRET_KEY_FILE` names; likewise every setting."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = super()._load_env_vars()
        return {
            name: _read_secret(Path(path))
            for name in self.settings_cls.model_fields
            if (path := variables.get(f"{name}_file"))
        }


def _read_secret(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise OSError(0, "it is not UTF-8", str(path)) from None


class Environment(FormerSettings):
    """The settings, by their environment names in lower case; `.env.example` explains each."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", validate_default=True, allow_inf_nan=False
    )

    debug: bool | None = None
    secret_key: SecretStr = SecretStr("")
    secret_key_fallbacks: Names = []
    allowed_hosts: HostNames = []
    cors_origins: CorsOrigins = []
    csrf_trusted_origins: CsrfOrigins = []
    trusted_proxies: Networks = []
    public_url: PublicUrl = ""
    host: Host = "127.0.0.1"
    port: Port = 8000
    grpc_port: Port = 50051
    live_port: Port = 8001
    live_url: PublicUrl = ""
    live_max_streams: int = Field(2_000, ge=1, le=100_000)
    live_max_streams_per_user: int = Field(1_000, ge=1, le=100_000)
    web_workers: int = Field(2, ge=1, le=100)
    web_threads: int = Field(4, ge=1, le=100)
    var_dir: Path = BASE_DIR / "var"
    static_root: Path | None = None
    revision: str = ""
    metrics_token: HeaderSecret = SecretStr("")
    metrics_allow: Networks = []
    metrics_port: Port | None = None
    prometheus_multiproc_dir: Path | None = None
    log_level: LogLevel = "INFO"
    log_format: Literal["console", "json"] | None = None

    database_url: DatabaseUrl = ""
    database_url_test: DatabaseUrl = ""
    postgres_host: ServerHost = ""
    postgres_port: Port = 5432
    postgres_user: str = ""
    postgres_password: SecretStr = SecretStr("")
    postgres_db: str = ""
    database_pool_size: int = Field(8, ge=1, le=1000)
    redis_url: RedisUrl = ""
    redis_host: ServerHost = ""
    redis_port: Port = 6379
    redis_password: SecretStr = SecretStr("")
    redis_db: int = Field(0, ge=0, le=65535)
    byte_cache_max_mb: int = Field(64, ge=4, le=1_000_000)
    celery_broker_url: BrokerUrl = ""
    embedded_servers: bool | None = None

    first_superuser: Email = "admin@example.com"
    first_superuser_password: SecretStr = SecretStr("")
    signup: Literal["open", "company", "invite"] | None = None
    default_company_code: str = Field("default", pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    access_token_expire_minutes: int = Field(30, ge=1, le=525_600)
    refresh_token_expire_days: int = Field(7, ge=1, le=3650)

    api_rate_limit: Rates = "600/minute,10000/hour"
    auth_rate_limit: Rates = "10/minute"
    auth_account_rate_limit: Rates | None = None
    invitation_rate_limit: Rates = "50/hour,200/day"
    rate_limit_per_minute: Count = "10"
    rate_limit_per_hour: Count = "100"

    email_host: ServerHost = ""
    email_port: Port = 587
    email_host_user: str = ""
    email_host_password: SecretStr = SecretStr("")
    email_use_tls: bool = True
    email_use_ssl: bool = False
    default_from_email: str = "Bureau <bureau@localhost>"

    openai_api_key: HeaderSecret = SecretStr("")
    openai_base_url: ProviderUrl = OPENAI_URL
    openai_model: str = "gpt-4o-mini"
    openai_max_tokens: int = Field(500, ge=1, le=10_000_000)
    openai_temperature: Temperature | None = Field(
        default_factory=lambda: None if "OPENAI_TEMPERATURE" in _named_settings() else 0.3
    )
    openai_timeout: float = Field(30, gt=0, le=3600)
    openai_attempts: int = Field(3, ge=1, le=10)
    openai_context_tokens: int = Field(16_000, ge=4_000, le=100_000_000)
    openai_prices: Prices = {}
    openai_concurrency: int = Field(4, ge=1, le=50)
    embedding_model: str = Field("", max_length=100)

    document_max_bytes: int = Field(10_000_000, ge=1_000, le=100_000_000)
    document_max_unpacked_bytes: int = Field(100_000_000, ge=100_000, le=10_000_000_000)
    document_max_pages: int = Field(1_000, ge=1, le=1_000_000)
    document_max_characters: int = Field(4_000_000, ge=1_000, le=100_000_000)
    document_memory_mb: int = Field(512, ge=128, le=1_000_000)
    document_seconds: int = Field(30, ge=1, le=600)

    import_max_bytes: int = Field(250_000_000, ge=1_000, le=2_000_000_000)
    import_max_rows: int = Field(2_000_000, ge=1, le=100_000_000)

    upload_storage: Literal["folder", "s3"] = "folder"
    upload_source_root: Path = Path("sources")
    upload_root: Path = Path("uploads")
    upload_fsync: bool = False
    s3_endpoint_url: HttpUrl = ""
    s3_region: str = "us-east-1"
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")
    s3_buckets: Buckets = {}
    upload_url_seconds: int | None = Field(None, ge=60, le=604_800)
    upload_url_max_bytes: int = Field(5 * 1024**3, ge=1, le=5 * 1024**4)

    posts_api_url: FeedUrl = ""
    posts_refresh_seconds: float = Field(300, ge=1, le=86_400)
    posts_timeout: float = Field(20, gt=0, le=600)
    posts_max_bytes: int = Field(10_000_000, ge=1, le=1_000_000_000)
    posts_max_count: int = Field(10_000, ge=1, le=1_000_000)

    job_lease_seconds: int = Field(15, ge=2, le=86_400)
    job_sweep_seconds: float = Field(3, gt=0, le=3600)
    worker_concurrency: int = Field(2, ge=1, le=1000)

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

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Remove white space around values, then values without a text; rename former names."""
        texts = {name: _strip(name, value) for name, value in values.items()}
        return rename({name: value for name, value in texts.items() if value != ""})

    @model_validator(mode="after")
    def _derive_and_check(self) -> Self:
        problems = list(find_incomplete_settings(self))
        self._build_urls()
        is_derived = self.debug is None
        if is_derived:
            self.debug = self.uses_local_postgres
        if not self.var_dir.is_absolute():
            self.var_dir = BASE_DIR / self.var_dir
        self.upload_source_root = self.var_dir / self.upload_source_root
        self.upload_root = self.var_dir / self.upload_root
        if not self.debug and (in_production := find_production_problems(self)):
            problems += in_production
            if is_derived:
                problems.append(
                    "A database is set, so this is production; for development, set DEBUG=true."
                )
        if problems := [*problems, *find_missing_servers(self)]:
            raise ValueError("\n".join(problems))
        return self

    def _build_urls(self) -> None:
        if not self.database_url and self.postgres_host:
            self.database_url = server_urls.build_postgres_url(
                host=self.postgres_host,
                port=self.postgres_port,
                user=self.postgres_user,
                password=self.postgres_password.get_secret_value(),
                name=self.postgres_db,
            )
        if not self.redis_url and self.redis_host:
            self.redis_url = server_urls.build_redis_url(
                host=self.redis_host,
                port=self.redis_port,
                password=self.redis_password.get_secret_value(),
                database=self.redis_db,
            )

    @property
    def uses_local_postgres(self) -> bool:
        return not self.database_url

    @property
    def uses_local_valkey(self) -> bool:
        return not self.redis_url

    @property
    def may_embed_servers(self) -> bool:
        """Whether this clone's own servers are used where no address is set."""
        return bool(self.debug if self.embedded_servers is None else self.embedded_servers)

    @property
    def served_hosts(self) -> list[str]:
        default = ["*"] if self.debug else LOCAL_HOSTS
        return self.allowed_hosts or default

    @property
    def provider_key(self) -> str:
        """The AI provider's key, or "none" for another server than OpenAI's: it may need no key."""
        key = self.openai_api_key.get_secret_value()
        return key or ("none" if self.provider_host != OPENAI_HOST else "")

    @property
    def provider_host(self) -> str:
        return urlsplit(self.openai_base_url).hostname or ""

    @property
    def metrics_dir(self) -> Path:
        """The folder in which the processes of this machine share their metrics."""
        return self.prometheus_multiproc_dir or self.var_dir / "metrics"

    @property
    def feed_url(self) -> str:
        """The URL of the feed, or an empty string; only development has one by default."""
        return self.posts_api_url or (DEVELOPMENT_FEED_URL if self.debug else "")

    @property
    def admin_password(self) -> str:
        """The first superuser's password; the well-known one is only used with `DEBUG`."""
        password = self.first_superuser_password.get_secret_value()
        return password or (DEVELOPMENT_PASSWORD if self.debug else "")

    def notices(self) -> Iterator[str]:
        """Yield a line for each thing about the settings that their author may not expect."""
        return find_notices(self)

    def show_notices(self) -> None:
        """Print the notices once for a process and its children."""
        if os.environ.setdefault(NOTICES_VARIABLE, "new") == "new":
            os.environ[NOTICES_VARIABLE] = "shown"
            for notice in self.notices():
                sys.stderr.write(f"{notice}\n")

    def secret_values(self) -> list[str]:
        """Return every secret: those of secret fields, and the passwords of URLs."""
        values = [getattr(self, name) for name in type(self).model_fields]
        fields = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        urls = "\n".join(value for value in values if isinstance(value, str))
        passwords = re.findall(r"://[^/:@\s]*:([^@\s]+)@", urls)
        return [*fields, *self.secret_key_fallbacks, self.signing_key, *passwords]

    @cached_property
    def signing_key(self) -> str:
        """`SECRET_KEY`, or in development a random key that is kept under `var/`."""
        return self.secret_key.get_secret_value() or _read_or_create_key(
            self.var_dir / "secret_key"
        )


def _strip(name: str, value: Any) -> Any:
    """Remove white space around a value; a password may begin or end with a space."""
    if not isinstance(value, str):
        return value
    return value.strip("\r\n" if name.endswith("password") else None)


def is_set(name: str) -> bool:
    """Return whether the environment or `.env` gives a setting a value."""
    return bool(read_setting(name))


def read_setting(name: str) -> str:
    """Return the text of a setting in the environment or in `.env`, or an empty one."""
    return os.environ.get(name) or _read_env_file().get(name) or ""


def _named_settings() -> set[str]:
    """Return the names in the environment and in `.env`, also of settings without a value."""
    return {name.upper() for name in (*os.environ, *_read_env_file())}


def _read_env_file() -> dict[str, str | None]:
    """Return the values of the settings file, or exit with a sentence if it can't be read."""
    path = Path(env_file())
    try:
        if path.is_dir() or ("ENV_FILE" in os.environ and not path.exists()):
            raise SystemExit(f"Bureau can't start.\n- {path} is not a file.")
        return dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SystemExit(f"Bureau can't start.\n- {path} can't be read: {reason}.") from None


def env_file() -> str:
    """Return the path of the settings file: `ENV_FILE`, or `.env`."""
    return os.environ.get("ENV_FILE") or str(BASE_DIR / ".env")


def load() -> Environment:
    """Read the settings, or exit with a sentence for each wrong one."""
    _read_env_file()
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
        name = _name_as_set(str(problem["loc"][0])) + ": " if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        lines += [f"- {name}{line}" for line in text.splitlines()]
    return "\n".join(lines)


def _name_as_set(field: str) -> str:
    """Return the name of a field in the environment: its former name if only that is set."""
    former = find_former_name(field).upper()
    return former if former and is_set(former) and not is_set(field.upper()) else field.upper()


def _read_or_create_key(path: Path) -> str:
    """Return the key in a file that the first of several processes creates, complete."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=path.parent) as file:  # readable by its owner only
                file.write(secrets.token_urlsafe(48))
                file.flush()
                with suppress(FileExistsError):
                    os.link(file.name, path)
        return path.read_text()
    except OSError as error:
        reason = f"{error.filename} can't be used: {error.strerror}. See VAR_DIR."
        raise SystemExit(f"Bureau can't start.\n- {reason}") from None
