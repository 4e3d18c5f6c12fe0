"""Read a compose file as Docker does, for checks on machines without Docker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


class ComposeFile:
    """The services of a compose file, with its variables substituted.

    Raises KeyError, with the file's own message, for a missing required variable.
    """

    def __init__(self, name: str, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.content: dict[str, Any] = self._substitute(yaml.safe_load((FOLDER / name).read_text()))
        self.services: dict[str, dict[str, Any]] = self.content["services"]

    def environment(self, service: str) -> dict[str, str]:
        """Return the service's environment; secrets are still files below /run/secrets."""
        return {k: str(v) for k, v in self.services[service].get("environment", {}).items()}

    def dependencies(self) -> Iterator[tuple[str, str, str]]:
        """Yield each service, one it depends on, and the condition it waits for."""
        for name, service in self.services.items():
            for other, condition in service.get("depends_on", {}).items():
                yield name, other, condition["condition"]

    def _substitute(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._substitute(inner) for key, inner in value.items()}
            case list():
                return [self._substitute(inner) for inner in value]
            case str():
                return VARIABLE.sub(self._value, value)
        return value

    def _value(self, found: re.Match[str]) -> str:
        dollar, name, mark, text = found.groups()
        if dollar:
            return "$"
        if value := self._variables.get(name):
            return value
        if mark == "-":
            return str(text)
        raise KeyError(text or f"{name} is not set")
