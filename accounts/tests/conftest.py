import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest


class _SmtpHandler(socketserver.StreamRequestHandler):
    """The part of SMTP that sending one mail needs."""

    server: "SmtpServer"

    def handle(self) -> None:
        self._reply("220 ready")
        for raw in self.rfile:
            verb = raw.decode().strip().upper()
            if verb.startswith("QUIT"):
                self._reply("221 bye")
                break
            if verb.startswith("RCPT") and self.server.refuse_with:
                self._reply(self.server.refuse_with)
            elif verb.startswith("DATA"):
                self._reply("354 go on")
                self._receive_message()
            else:
                self._reply("250 ok")

    def _receive_message(self) -> None:
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        self.server.received.append("".join(lines))
        self._reply("250 accepted")

    def _reply(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(f"{line}\r\n".encode())


class SmtpServer(socketserver.ThreadingTCPServer):
    """A local mail server; `refuse_with` is its response to every recipient."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SmtpHandler)
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
