"""The processes of `make dev`: restarted when code changes, and one of them has the terminal.

`breakpoint()` stops in the process with the terminal: the web server or, with
`make dev TERMINAL=worker` (or `mail`, `uploads`), a worker that runs one job at a time.
"""

from __future__ import annotations

import inspect
import pdb
import shlex
import sys

from config.environment import Environment

# Folders whose changes restart a process.
CODE = ("config", "common", "accounts", "catalog", "notes", "uploads", "posts", "integrations")


def background_commands(procfile: dict[str, str], terminal: str) -> dict[str, list[str]]:
    """Return the Procfile's commands, with reload, without the process `terminal`."""
    return {
        name: with_reload(["sh", "-c", f"exec env {command}"])
        for name, command in procfile.items()
        if name != terminal
    }


def terminal_command(
    procfile: dict[str, str], terminal: str, environment: Environment
) -> list[str]:
    """Return the command of the process that has the terminal: "web" or a worker."""
    if terminal != "web":
        return with_reload(["sh", "-c", f"exec env {procfile[terminal]} --pool solo"])
    address = f"{environment.host}:{environment.port}"
    return [sys.executable, "manage.py", "runserver", address]


def set_trace() -> None:
    """Stop in the debugger; `breakpoint()` calls this in the process with the terminal.

    pdb's own handler of Ctrl-C would stay, and stop in the debugger again at each reload.
    """
    caller = inspect.currentframe().f_back  # type: ignore[union-attr]
    pdb.Pdb(nosigint=True).set_trace(caller)


def with_reload(command: list[str]) -> list[str]:
    """Return a command that runs `command` and restarts it when code changes."""
    watchfiles = [sys.executable, "-m", "watchfiles", "--filter", "python"]
    return [*watchfiles, shlex.join(command), *CODE]
