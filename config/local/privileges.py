"""Run a server as another user when the caller is root, which PostgreSQL refuses to be."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from config.local.locks import LocalServiceError


class Launcher(NamedTuple):
    """How to start a program: a command prefix, and the user and group if they change."""

    prefix: list[str]
    user: int | None = None
    group: int | None = None

    def start(self, command: list[str], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start the command in a session of its own, which Ctrl-C does not reach.

        The environment is minimal: PGPORT and the like must not configure a server, and the
        runner's marker must not be on a server that other processes use too.
        """
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
        )


def give_to_nobody(folder: Path) -> None:
    """As root, change the owner of a folder from root to `nobody`; keep any other owner."""
    if os.geteuid() == 0 and folder.stat().st_uid == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def find_launcher(program: Path, data: Path, sockets: Path) -> Launcher:
    """Return how to start `program` as the owner of `data`, with access to `data` and `sockets`.

    Users other than root start it as it is. Root uses the first launcher that works: one
    without privileges or, if a parent folder is closed to others (a clone below /root), one with
    the capability to enter it. Nothing outside the clone is opened or changed.
    """
    if os.geteuid() != 0:
        return Launcher([])
    owner = data.stat()
    for launcher in _launchers(owner.st_uid, owner.st_gid):
        if _can_reach(launcher, program, data, sockets):
            return launcher
    raise LocalServiceError(
        f"Bureau runs as root, which {program.name} refuses, and user {owner.st_uid} can't"
        f" reach {data} or {program}. Move the clone to a place that others can reach (not"
        " below /root), or run as another user, or set DATABASE_URL and REDIS_URL."
    )


def _launchers(uid: int, gid: int) -> Iterator[Launcher]:
    yield Launcher([], uid, gid)
    setpriv = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    # Without this, access(2), which PostgreSQL uses to find its programs, ignores capabilities.
    setpriv += ["--securebits=+no_setuid_fixup"]
    # Containers often lack the first; the second also allows writing.
    for name in ("dac_read_search", "dac_override"):
        yield Launcher([*setpriv, f"--inh-caps=-all,+{name}", f"--ambient-caps=-all,+{name}", "--"])


def _can_reach(launcher: Launcher, program: Path, data: Path, sockets: Path) -> bool:
    script = 'cd "$1" && cd "$2" && exec "$3" --version'
    command = ["sh", "-c", script, "sh", str(data), str(sockets), str(program)]
    try:
        with launcher.start(command, subprocess.DEVNULL) as process:
            return process.wait() == 0
    except OSError:  # setpriv is missing, or changing the user is not allowed
        return False
