"""The settings of the five earlier services that have other names in Bureau.

A new name takes precedence over its former name.
"""

from typing import Any

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings

FORMER_NAMES = {
    "db_host": "postgres_host",
    "db_port": "postgres_port",
    "db_name": "postgres_db",
    "db_user": "postgres_user",
    "db_password": "postgres_password",
    "jwt_secret": "secret_key",
    "ai_model": "openai_model",
}


class FormerSettings(BaseSettings):
    """Settings of the earlier services, by their environment names in lower case."""

    db_host: str = ""
    db_port: str = ""
    db_name: str = ""
    db_user: str = ""
    db_password: SecretStr = SecretStr("")
    jwt_secret: SecretStr = SecretStr("")
    ai_model: str = ""
    jwt_algorithm: str = "HS256"
    celery_result_backend: str = "django-db"

    @field_validator("jwt_algorithm")
    @classmethod
    def _check_algorithm(cls, name: str) -> str:
        if name.upper() != "HS256":
            raise ValueError("Only HS256 is supported: tokens are signed with SECRET_KEY.")
        return name

    def former_notices(self) -> list[str]:
        """Return a sentence for each of these settings that has no effect."""
        unused = {
            "CELERY_RESULT_BACKEND is not used: results of tasks are rows of the database.": (
                self.celery_result_backend != "django-db"
            ),
        }
        overridden = [
            f"{former.upper()} is not used: {name.upper()} has another value."
            for former, name in FORMER_NAMES.items()
            if former in self.model_fields_set and _is_different(self, former, name)
        ]
        return [sentence for sentence, applies in unused.items() if applies] + overridden


def rename(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values; a former name also sets its new name, unless that is set too."""
    renamed = {
        name: values[former]
        for former, name in FORMER_NAMES.items()
        if former in values and name not in values
    }
    return values | renamed


def find_former_name(field: str) -> str:
    """Return the former name of a field, or an empty string."""
    return {new: former for former, new in FORMER_NAMES.items()}.get(field, "")


def name_of(settings: BaseSettings, field: str, *, is_former: bool = False) -> str:
    """Return, in upper case, the name that gave a field its value; with `is_former` the former."""
    former = find_former_name(field)
    is_former = is_former or (
        former in settings.model_fields_set and not _is_different(settings, former, field)
    )
    return (former if former and is_former else field).upper()


def _is_different(settings: BaseSettings, former: str, name: str) -> bool:
    return _text(getattr(settings, former)) != _text(getattr(settings, name))


def _text(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
