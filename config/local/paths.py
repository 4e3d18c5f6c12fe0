"""Where the servers of a clone have their data and sockets: known with no server running."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from config.local.locks import LocalServiceError

PORT = 5432  # only a part of the socket's name: nothing listens on TCP
NAME = "bureau"  # of the database and of the role that owns it
# A socket's path has at most 103 bytes on macOS, 107 on Linux.
LONGEST_SOCKET_PATH = 103


class Places:
    """The folders below `root`, and the sockets, in `root/run` unless that is too long."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run = self.root / "run"
        self.logs = self.root / "log"
        self.sockets = self._socket_folder()

    def _socket_folder(self) -> Path:
        longest = self.run / "postgres" / f".s.PGSQL.{PORT}"
        if len(os.fsencode(longest)) <= LONGEST_SOCKET_PATH:
            return self.run
        # Not in TMPDIR, which need not be the same for all processes of a clone.
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"bureau-{name}"  # noqa: S108 - its owner is checked

    @property
    def postgres_socket_dir(self) -> Path:
        return self.sockets / "postgres"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "valkey" / "valkey.sock"

    @property
    def database_url(self) -> str:
        """Its path is percent-encoded, as in `redis_url`."""
        folder = quote(str(self.postgres_socket_dir), safe="")
        return f"postgresql:///{NAME}?host={folder}&port={PORT}&user={NAME}"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.redis_socket))}?db=0"

    def make(self) -> None:
        """Make the folders, and check each time that those of the sockets are private."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self.sockets.mkdir(mode=0o700, exist_ok=True)
            # In a user's clone root runs that user's code anyway.
            user = os.geteuid()
            self._close(self.run, {user, self.root.stat().st_uid if user == 0 else user})
            if self.sockets != self.run:
                self._close(self.sockets, {user})
        except OSError as error:
            raise LocalServiceError(
                f"The folder {error.filename} cannot be used: {error.strerror}."
            ) from error

    def _close(self, folder: Path, owners: set[int]) -> None:
        """Who owns the folder can put a server of his own in it."""
        if folder.is_symlink() or folder.lstat().st_uid not in owners:
            raise LocalServiceError(
                f"{folder} belongs to another user, whose servers are not to be trusted."
                " Remove it, or run as that user."
            )
        # Root's servers run as somebody else, who passes here to a closed folder of its own.
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
