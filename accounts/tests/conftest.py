import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest

ANSWERS = {"DATA": "354 go on", "QUIT": "221 bye"}


class _SmtpHandler(socketserver.StreamRequestHandler):
    """The part of SMTP that sending one mail needs."""

    server: "SmtpServer"

    def handle(self) -> None:
        self._reply("220 ready")
        for raw in self.rfile:
            verb = raw.decode().strip()[:4].upper()
            self._reply(self.server.answers.get(verb) or ANSWERS.get(verb, "250 ok"))
            if verb == "QUIT":
                break
            if verb == "DATA" and "DATA" not in self.server.answers:
                self._receive_message()

    def _receive_message(self) -> None:
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        answer = self.server.answers.get(".", "250 accepted")
        if answer.startswith("250"):
            self.server.received.append("".join(lines))
        self._reply(answer)

    def _reply(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(f"{line}\r\n".encode())


class SmtpServer(socketserver.ThreadingTCPServer):
    """A local mail server.

    `answers` are its replies to commands, such as `RCPT`, that it does not accept; `.` is the end
    of a mail.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SmtpHandler)
        self.port: int = self.server_address[1]
        self.answers: dict[str, str] = {}
        self.received: list[str] = []


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
