"""A local mail server."""

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ANSWERS = {"DATA": "354 go on", "QUIT": "221 bye"}


class _SmtpHandler(socketserver.StreamRequestHandler):
    """The part of SMTP that sending one mail needs."""

    server: "SmtpServer"

    def handle(self) -> None:
        self._reply("220 ready")
        with contextlib.suppress(ConnectionResetError):  # the client was killed
            for raw in self.rfile:
                self._answer(raw.decode().strip()[:4].upper())

    def _answer(self, verb: str) -> None:
        self._reply(self.server.answers.get(verb) or ANSWERS.get(verb, "250 ok"))
        if verb == "DATA" and "DATA" not in self.server.answers:
            self._receive_message()

    def _receive_message(self) -> None:
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        time.sleep(self.server.delay_s)
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
    of a mail. It takes `delay_s` to accept a mail.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SmtpHandler)
        self.port: int = self.server_address[1]
        self.answers: dict[str, str] = {}
        self.received: list[str] = []
        self.delay_s = 0.0

    @contextmanager
    def serving(self) -> Iterator["SmtpServer"]:
        with self:
            thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
            thread.start()
            yield self
            self.shutdown()
            thread.join()
