"""The books that a courier keeps of answers that nobody took, against a command that fails."""

import asyncio
import sys
from pathlib import Path

import pytest

from common.ai import courier
from common.ai.courier import Courier
from common.ai.types import Usage

COMMAND = """#!/bin/sh
# Fails as often as there are lines in `failures`, and keeps what it was told.
cd "$(dirname "$0")"
cat > told.$$
[ -s failures ] || { cat told.$$ >> ledger; exit 0; }
sed -i 1d failures
exit 1
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a command that stands in for `python -m django` lives."""
    (script := tmp_path / "python").write_text(COMMAND)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(courier, "FIRST_PAUSE", 0.01)
    return tmp_path


def rows(place: Path) -> list[str]:
    """Of the ledger, without its header."""
    return (place / "ledger").read_text().split()[1:]


def test_a_cost_is_told_again_until_the_command_takes_it(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / "failures").write_text("once\ntwice\n")
    asyncio.run(Courier("reconcile")._tell("a", Usage(1, 2, 3, 4)))
    assert len(list(place.glob("told.*"))) == 3
    assert rows(place) == ["a,1,2,3,4"]
    assert capfd.readouterr().err == ""


def test_what_came_meanwhile_goes_with_it_and_newer_figures_win(place: Path) -> None:
    (place / "failures").write_text("once\n")

    async def tell() -> None:
        mine = Courier("reconcile")
        told = [("a", Usage(1)), ("b", Usage(2)), ("a", Usage(3))]
        await asyncio.gather(*(mine._tell(*entry) for entry in told))

    asyncio.run(tell())
    assert sorted(rows(place)) == ["a,3,0,0,0", "b,2,0,0,0"]


def test_what_can_not_be_told_is_written_to_the_log_and_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / "failures").write_text("again\n" * 1000)
    monkeypatch.setattr(courier, "LAST_WORDS", 10.2)
    mine = Courier("reconcile")

    async def tell() -> None:
        await mine._tell("a", Usage(1))
        (place / "failures").unlink()
        await mine._tell("b", Usage(2))

    asyncio.run(tell())
    assert '{"a": {"prompt": 1,' in capfd.readouterr().err
    assert rows(place) == ["a,1,0,0,0", "b,2,0,0,0"]


def test_a_command_that_does_not_start_is_no_reason_to_forget(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(courier, "LAST_WORDS", 10.1)
    (place / "python").chmod(0o600)
    asyncio.run(Courier("reconcile")._tell("a", Usage(1)))
    assert "does not start" in (told := capfd.readouterr().err)
    assert '{"a": {"prompt": 1,' in told
