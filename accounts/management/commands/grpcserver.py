import signal
import socket
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.grpc.server import AuthServer
from common.metrics.exporter import start_exporter

log = structlog.get_logger(__name__)

SIGNALS = {signal.SIGTERM, signal.SIGINT}
# Below the 6 s after which `make run` kills what has not ended.
GRACE = 4.0


class Command(BaseCommand):
    help = "Serve auth.AuthService until SIGTERM or Ctrl-C; see accounts/grpc/auth.proto."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.GRPC_PORT)

    def handle(self, *, host: str, port: int, **_: Any) -> None:
        pool = settings.DATABASES["default"]["OPTIONS"]["pool"]
        with _held_back(SIGNALS):
            server = AuthServer(host, port, threads=pool["max_size"])
            _start(server, host, port)
            start_exporter()
            signal.sigwait(SIGNALS)
            log.info("grpc_stopping")
            server.stop(GRACE)


def _start(server: AuthServer, host: str, port: int) -> None:
    try:
        _probe(host, port)
        server.start()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "grpc's own line says why"
        raise CommandError(
            f"Port {port} on {host} cannot be used ({reason}): set GRPC_PORT to a free one."
        ) from None
    log.info("grpc_ready", address=server.address)


def _probe(host: str, port: int) -> None:
    """Raise OSError with the reason, which grpc keeps to itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


@contextmanager
def _held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """Leave the signals to `sigwait`, in this thread and in those that it starts.

    A handler is run by the main thread alone, but the system may give the signal to one of grpc's
    threads, and then nothing wakes a main thread that waits for an event.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
