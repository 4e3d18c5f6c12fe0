"""A compose file as Docker would read it, for checks on machines that have no Docker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


class ComposeFile:
    """The services of a compose file with its variables filled in.

    Raises KeyError, with the file's own words, where a variable is needed and not given.
    """

    def __init__(self, name: str, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.whole: dict[str, Any] = self._filled(yaml.safe_load((FOLDER / name).read_text()))
        self.services: dict[str, dict[str, Any]] = self.whole["services"]

    def environment(self, service: str) -> dict[str, str]:
        """What the service is given; its secrets are still files below /run/secrets."""
        return {k: str(v) for k, v in self.services[service].get("environment", {}).items()}

    def dependencies(self) -> Iterator[tuple[str, str, str]]:
        """Each service, one that it waits for, and until what."""
        for name, service in self.services.items():
            for other, condition in service.get("depends_on", {}).items():
                yield name, other, condition["condition"]

    def _filled(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._filled(inner) for key, inner in value.items()}
            case list():
                return [self._filled(inner) for inner in value]
            case str():
                return VARIABLE.sub(self._value, value)
        return value

    def _value(self, found: re.Match[str]) -> str:
        dollar, name, mark, text = found.groups()
        if dollar:
            return "$"
        if given := self._variables.get(name):
            return given
        if mark == "-":
            return str(text)
        raise KeyError(text or f"{name} is not set")
