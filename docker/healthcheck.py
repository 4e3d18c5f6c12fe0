"""Check that the process of this container answers: `healthcheck.py web`.

The other processes are live, worker, mail, uploads, grpc and flower. It exits with 0, or raises an
exception. It runs every few seconds, so each check imports only what it needs.
"""

import os
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT_S = 4.0
# The names that the Procfile gives to the processes that run jobs.
WORKER_NAMES = {"worker": "celery", "mail": "mail", "uploads": "uploads"}


def web() -> None:
    """Check the process only: a missing database is no reason to restart a web server."""
    _get(int(os.environ.get("PORT", "8000")), "/health")


def live() -> None:
    _get(int(os.environ.get("LIVE_PORT", "8001")), "/health")


def flower() -> None:
    try:
        _get(int(os.environ.get("FLOWER_PORT", "5555")), "/healthcheck")
    except HTTPError as error:
        if error.code != 401:
            raise


def grpc() -> None:
    import grpc  # type: ignore[import-untyped]
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    with grpc.insecure_channel(f"127.0.0.1:{os.environ.get('GRPC_PORT', '50051')}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise SystemExit(1)


def worker() -> None:
    """Ping the worker of this container through the broker."""
    import socket

    sys.path.insert(0, os.getcwd())
    from config import celery_app

    name = f"{WORKER_NAMES[sys.argv[1]]}@{socket.gethostname()}"
    if not celery_app.control.inspect([name], timeout=TIMEOUT_S).ping():
        raise SystemExit(1)


def _get(port: int, path: str) -> None:
    # Without DEBUG the process refuses unknown hosts.
    hosts = os.environ.get("ALLOWED_HOSTS", "").strip('[]"').partition(",")[0].strip(' "')
    # The setting may also contain addresses such as https://bureau.example.com/.
    name = hosts.rpartition("://")[2].partition("/")[0]
    host = name.removeprefix(".").replace("*", "") or "localhost"
    request = Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    checks = {
        "web": web,
        "live": live,
        "grpc": grpc,
        "flower": flower,
        **dict.fromkeys(WORKER_NAMES, worker),
    }
    checks[sys.argv[1]]()
