from collections.abc import Callable

import pytest

from config.environment import Environment, load


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Environment]:
    """Read the settings from the given variables only."""

    def read(**variables: str) -> Environment:
        for name in Environment.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
            monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load()

    return read
