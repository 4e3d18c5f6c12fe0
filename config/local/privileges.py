"""Running a server for root as somebody else: PostgreSQL refuses to be root, rightly."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from config.local.locks import LocalServiceError


class Way(NamedTuple):
    """How to start a program: words before the command, and the user if it is another."""

    prefix: list[str]
    user: int | None = None
    group: int | None = None

    def start(self, command: list[str], output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, out of the reach of Ctrl-C.

        The environment is bare: PGPORT and the like must not bend a server, and the mark of the
        runner on its processes must not be on a server that others use too.
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


def hand_over(folder: Path) -> None:
    """As root, give a folder that is root's to `nobody`; with any other owner it stays."""
    if os.geteuid() == 0 and folder.stat().st_uid == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def way_to_run(program: Path, data: Path, sockets: Path) -> Way:
    """How to start `program` as the owner of `data` such that it reaches `data` and `sockets`.

    Anyone but root just starts it. Root takes the first way that works: with no privilege, or,
    where a folder above is closed to others (a clone below /root), with the one that lets it
    pass. Nothing outside the clone is opened or changed.
    """
    if os.geteuid() != 0:
        return Way([])
    owner = data.stat()
    for way in _ways(owner.st_uid, owner.st_gid):
        if _reaches(way, program, data, sockets):
            return way
    raise LocalServiceError(
        f"Bureau runs as root, which {program.name} must not, and user {owner.st_uid} cannot"
        f" reach {data} or {program}. Move the clone to where others may pass (not below"
        " /root), or run as another user, or set DATABASE_URL and REDIS_URL."
    )


def _ways(uid: int, gid: int) -> Iterator[Way]:
    yield Way([], uid, gid)
    setpriv = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    # Without this access(2), by which PostgreSQL looks for its programs, ignores capabilities.
    setpriv += ["--securebits=+no_setuid_fixup"]
    # Containers often lack the first; the other will do, though it allows writing too.
    for name in ("dac_read_search", "dac_override"):
        yield Way([*setpriv, f"--inh-caps=-all,+{name}", f"--ambient-caps=-all,+{name}", "--"])


def _reaches(way: Way, program: Path, data: Path, sockets: Path) -> bool:
    try_all = 'cd "$1" && cd "$2" && exec "$3" --version'
    command = ["sh", "-c", try_all, "sh", str(data), str(sockets), str(program)]
    try:
        with way.start(command, subprocess.DEVNULL) as process:
            return process.wait() == 0
    except OSError:  # no setpriv, or changing the user is not allowed here
        return False
