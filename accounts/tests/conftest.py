import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest


class _Dialogue(socketserver.StreamRequestHandler):
    """As much of SMTP as one mail needs."""

    server: "SmtpServer"

    def handle(self) -> None:
        self._say("220 ready")
        for raw in self.rfile:
            verb = raw.decode().strip().upper()
            if verb.startswith("QUIT"):
                self._say("221 bye")
                break
            if verb.startswith("RCPT") and self.server.refuse_with:
                self._say(self.server.refuse_with)
            elif verb.startswith("DATA"):
                self._say("354 go on")
                self._receive()
            else:
                self._say("250 ok")

    def _receive(self) -> None:
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        self.server.received.append("".join(lines))
        self._say("250 taken")

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(f"{line}\r\n".encode())


class SmtpServer(socketserver.ThreadingTCPServer):
    """A mail server on this machine; `refuse_with` is its answer to every recipient."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.port: int = self.server_address[1]
        self.refuse_with = ""
        self.received: list[str] = []


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
