"""The figures of processes that serve no HTTP: a worker, beat or gRPC on a machine of its own."""

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
from common.metrics.access import refusal
from common.redaction import redacted_message

log = structlog.get_logger(__name__)


class Server(ThreadingWSGIServer):
    """Each scrape in a thread of its own, which a process that ends does not wait for."""


class Handler(WSGIRequestHandler):
    timeout = 5

    def log_message(self, *_: Any) -> None:
        """A scrape each few seconds is no news."""


def serve_if_wanted() -> WSGIServer | None:
    """Answer at `METRICS_PORT` from a thread, if that is set; a taken port is no reason to end."""
    if not settings.METRICS_PORT:
        return None
    try:
        server = make_server(
            settings.HOST, settings.METRICS_PORT, application, Server, handler_class=Handler
        )
    except OSError as error:
        log.error("metrics_not_served", port=settings.METRICS_PORT, error=redacted_message(error))
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    log.info("metrics_served", port=server.server_port)
    return server


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI: the same as `/metrics` of the web processes, without what they know already."""
    status, headers, body = HTTPStatus.OK, [("Cache-Control", "no-store")], b""
    if environ.get("PATH_INFO") != "/metrics" or environ["REQUEST_METHOD"] != "GET":
        status = HTTPStatus.NOT_FOUND
    elif refused := refusal(SimpleNamespace(META=environ)):
        status = HTTPStatus(refused)
    else:
        body, content_type = scrape.render(environ.get("HTTP_ACCEPT", ""), with_database=False)
        headers.append(("Content-Type", content_type))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
