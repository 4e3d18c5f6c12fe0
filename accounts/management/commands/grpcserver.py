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
from common.migration_checksums import exit_if_incompatible

log = structlog.get_logger(__name__)

SIGNALS = {signal.SIGTERM, signal.SIGINT}
# Shorter than the 6 s after which `make run` kills a process.
STOP_TIMEOUT_S = 4.0


class Command(BaseCommand):
    help = "Serve auth.AuthService (accounts/grpc/auth.proto) until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.GRPC_PORT)

    def handle(self, *, host: str, port: int, **_: Any) -> None:
        pool = settings.DATABASES["default"]["OPTIONS"]["pool"]
        with _block_signals(SIGNALS):
            server = AuthServer(host, port, threads=pool["max_size"])
            _start(server, host, port)
            start_exporter()
            signal.sigwait(SIGNALS)
            log.info("grpc_stopping")
            server.stop(STOP_TIMEOUT_S)


def _start(server: AuthServer, host: str, port: int) -> None:
    try:
        _check_port(host, port)
        exit_if_incompatible()
        server.start()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "see grpc's log"
        raise CommandError(
            f"Port {port} on {host} cannot be used ({reason}): set GRPC_PORT to a free port."
        ) from None
    log.info("grpc_ready", address=server.address)


def _check_port(host: str, port: int) -> None:
    """Raise OSError if the port can't be bound; grpc does not report the reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


@contextmanager
def _block_signals(signals: set[signal.Signals]) -> Iterator[None]:
    """Block the signals in this thread and the threads it starts, so that `sigwait` gets them.

    A Python handler would run only in the main thread. If the system delivered the signal to one
    of grpc's threads, nothing would wake the waiting main thread.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
