"""Checks of several settings together: problems that stop the start, and notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.former_settings import name_of
from config.secret_strength import MIN_TOKEN_LENGTH, is_weak_key, is_weak_password

if TYPE_CHECKING:
    from config.environment import Environment

# What `common.ai.provider.summarizer` needs for its instructions and a part of a text.
MIN_PROMPT_TOKENS = 1000
GENERATE_SECRET = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105


def find_incomplete_settings(env: Environment) -> Iterator[str]:
    """Yield a sentence for each setting that can't work with the others or without another one."""
    if not env.database_url:
        yield from _find_missing_parts(
            env, "DATABASE_URL", ["postgres_host", "postgres_user", "postgres_db"]
        )
    if not env.redis_url:
        yield from _find_missing_parts(env, "REDIS_URL", ["redis_host"])
    if not env.email_host and (env.email_host_user or env.email_host_password.get_secret_value()):
        yield "EMAIL_HOST is missing, but EMAIL_HOST_USER or EMAIL_HOST_PASSWORD is set."
    if bool(env.email_host_user) != bool(env.email_host_password.get_secret_value()):
        yield "Set both EMAIL_HOST_USER and EMAIL_HOST_PASSWORD, or neither."
    if bool(env.s3_access_key_id) != bool(env.s3_secret_access_key.get_secret_value()):
        yield "Set both S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or neither."
    existing = next(path for path in (env.var_dir, *env.var_dir.parents) if path.exists())
    if not existing.is_dir():
        yield f"VAR_DIR can't be created: {existing} is not a folder."
    if env.openai_max_tokens + MIN_PROMPT_TOKENS > env.openai_context_tokens:
        yield (
            "OPENAI_MAX_TOKENS leaves no room for a text: it must be at least"
            f" {MIN_PROMPT_TOKENS} below OPENAI_CONTEXT_TOKENS."
        )


def _find_missing_parts(env: Environment, url: str, needed: list[str]) -> Iterator[str]:
    prefix = needed[0].partition("_")[0]
    parts = sorted(name for name in env.model_fields_set if name.startswith(f"{prefix}_"))
    if not parts:
        return
    is_former = any(name_of(env, part) != part.upper() for part in parts)
    missing = [name_of(env, name, is_former=is_former) for name in needed if not getattr(env, name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        yield (
            f"{' and '.join(missing)} {verb} missing, but {name_of(env, parts[0])} is set: set all"
            f" of them, or only {url}."
        )


def find_missing_servers(env: Environment) -> Iterator[str]:
    """Yield a sentence for each server that has no address and can't be this clone's own."""
    if env.uses_local_postgres and not env.may_embed_servers:
        yield "DATABASE_URL is missing: set it to postgresql://user:password@host:5432/name."
    if env.uses_local_valkey and not env.may_embed_servers:
        yield "REDIS_URL is missing: set it to redis://host:6379/0."


def find_production_problems(env: Environment) -> list[str]:
    """Return a sentence for each setting that is not safe with `DEBUG=false`."""
    checks = {
        f"{name_of(env, 'secret_key')} is missing or weak: set it to at least 32 random"
        f" characters, for example with `{GENERATE_SECRET}`.": (
            is_weak_key(env.secret_key.get_secret_value())
        ),
        "SECRET_KEY_FALLBACKS has a weak key, with which anybody could sign in: leave it out.": (
            any(map(is_weak_key, env.secret_key_fallbacks))
        ),
        "FIRST_SUPERUSER_PASSWORD is missing or weak: set it to at least 10 characters that are"
        " not a common password.": (
            is_weak_password(
                env.first_superuser_password.get_secret_value(), email=env.first_superuser
            )
        ),
        f"METRICS_TOKEN is weak: set it to at least {MIN_TOKEN_LENGTH} random characters.": (
            _is_weak_token(env.metrics_token.get_secret_value())
        ),
        "ALLOWED_HOSTS is missing: set it to the host names that are served, such as"
        " bureau.example.com.": not env.allowed_hosts and not env.may_embed_servers,
    }
    return [sentence for sentence, is_unsafe in checks.items() if is_unsafe]


def _is_weak_token(token: str) -> bool:
    return bool(token) and is_weak_key(token, min_length=MIN_TOKEN_LENGTH)


def find_notices(env: Environment) -> Iterator[str]:
    """Yield a line for each thing about the settings that their author may not expect."""
    if env.uses_local_postgres:
        yield (
            f"The database is this clone's own, in {env.var_dir / 'postgres'}: neither DATABASE_URL"
            " nor POSTGRES_HOST is set."
        )
    yield from env.former_notices()
    if "openai_model" in env.model_fields_set and not env.provider_key:
        yield "OPENAI_MODEL is not used: without OPENAI_API_KEY, the embedded summariser is used."
    if env.embedding_model and not env.provider_key:
        yield "EMBEDDING_MODEL is not used: without OPENAI_API_KEY, the embedded model is used."
    if env.provider_key and not env.openai_api_key.get_secret_value():
        host = env.provider_host
        yield f"Requests to the AI provider {host} have no key: OPENAI_API_KEY is not set."
    if env.upload_storage == "folder" and (env.s3_endpoint_url or env.s3_access_key_id):
        yield "S3_ENDPOINT_URL and S3_ACCESS_KEY_ID are not used: UPLOAD_STORAGE is folder."
    if env.upload_storage == "s3" and not env.s3_buckets:
        yield "Uploads to S3 are refused: S3_BUCKETS is not set."
