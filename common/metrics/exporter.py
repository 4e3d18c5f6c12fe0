"""An HTTP server for the metrics of a process without one: a worker, beat or the gRPC server."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from django.conf import settings
from prometheus_client.exposition import ThreadingWSGIServer

from common.metrics import scrape
from common.metrics.access import denied_status
from common.redaction import redacted_message

log = structlog.get_logger(__name__)


class QuietRequestHandler(WSGIRequestHandler):
    timeout = 5

    def log_message(self, *_: Any) -> None:
        """Log nothing: a scrape every few seconds would fill the log."""


def start_exporter() -> WSGIServer | None:
    """Serve metrics at `METRICS_PORT` from a thread, if that is set.

    If the port cannot be opened, log an error and return `None`: the process continues.
    """
    if not settings.METRICS_PORT:
        return None
    try:
        server = make_server(
            settings.HOST,
            settings.METRICS_PORT,
            application,
            ThreadingWSGIServer,
            handler_class=QuietRequestHandler,
        )
    except OSError as error:
        log.error("metrics_not_served", port=settings.METRICS_PORT, error=redacted_message(error))
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    log.info("metrics_served", port=server.server_port)
    return server


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve `/metrics` as WSGI, without the gauges that are read from the database."""
    status, headers, body = HTTPStatus.OK, [("Cache-Control", "no-store")], b""
    if environ.get("PATH_INFO") != "/metrics" or environ["REQUEST_METHOD"] != "GET":
        status = HTTPStatus.NOT_FOUND
    elif denied := denied_status(SimpleNamespace(META=environ)):
        status = HTTPStatus(denied)
    else:
        body, content_type = scrape.render(environ.get("HTTP_ACCEPT", ""), with_database=False)
        headers.append(("Content-Type", content_type))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
