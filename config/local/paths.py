"""The folders and sockets of a clone's own servers, known even while no server runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from config.local.locks import LocalServiceError

POSTGRES_PORT = 5432  # part of the socket's name: nothing listens on TCP
DATABASE_NAME = "bureau"  # also the name of the role that owns the database
MAX_SOCKET_PATH_BYTES = 103  # the limit of macOS; 107 on Linux


class LocalPaths:
    """The folders below `root`; sockets are in `root/run` unless that path is too long."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run = self.root / "run"
        self.logs = self.root / "log"
        self.sockets = self._socket_folder()

    def _socket_folder(self) -> Path:
        longest = self.run / "postgres" / f".s.PGSQL.{POSTGRES_PORT}"
        if len(os.fsencode(longest)) <= MAX_SOCKET_PATH_BYTES:
            return self.run
        # Not TMPDIR, which may differ between the processes of a clone.
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
        """The URL of the database; the socket's path is percent-encoded."""
        folder = quote(str(self.postgres_socket_dir), safe="")
        return (
            f"postgresql:///{DATABASE_NAME}?host={folder}&port={POSTGRES_PORT}&user={DATABASE_NAME}"
        )

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.redis_socket))}?db=0"

    def create(self) -> None:
        """Create the folders and check that the socket folders are private."""
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self.sockets.mkdir(mode=0o700, exist_ok=True)
            # Root may use a clone that belongs to another user.
            user = os.geteuid()
            self._make_private(self.run, {user, self.root.stat().st_uid if user == 0 else user})
            if self.sockets != self.run:
                self._make_private(self.sockets, {user})
        except OSError as error:
            raise LocalServiceError(
                f"The folder {error.filename} can't be used: {error.strerror}."
            ) from error

    def _make_private(self, folder: Path, owners: set[int]) -> None:
        """Refuse a folder of another user, who could put a server of their own in it."""
        if folder.is_symlink() or folder.lstat().st_uid not in owners:
            raise LocalServiceError(
                f"{folder} belongs to another user, so its servers can't be trusted."
                " Remove it, or run as that user."
            )
        # Root's servers run as another user, who passes through here to a private folder.
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
