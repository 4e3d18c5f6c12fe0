"""An S3 server in front of moto that refuses what some servers and policies refuse."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Thread

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

UNSUPPORTED = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")


class StrictS3:
    """A WSGI application that knows no `x-amz-checksum-*`, verifies digests and has a policy.

    denied: the actions that the policy does not allow, such as `s3:ListBucket`.
    """

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.requests: list[str] = []
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict, start_response: object) -> object:
        request = Request(environ)
        self.requests.append(f"{request.method} {request.full_path}")
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        body = request.get_data()
        names = [name.lower() for name in (*request.headers.keys(), *request.args)]
        if any(name.startswith(UNSUPPORTED) for name in names):
            return _error(501, "NotImplemented")
        if not _has_right_digests(request, body):
            return _error(400, "BadDigest")
        if action_of(request) in self.denied:
            return _error(403, "AccessDenied")
        answer = Response(
            *run_wsgi_app(self._moto, {**request.environ, "wsgi.input": BytesIO(body)})
        )
        # Who may not list a bucket is not told whether an object exists.
        if (
            answer.status_code == 404
            and request.method == "HEAD"
            and "s3:ListBucket" in self.denied
        ):
            return _error(403, "AccessDenied")
        return answer


def action_of(request: Request) -> str:
    """Return the action that a policy must allow for this request."""
    is_bucket = request.path.count("/") == 1
    if "uploads" in request.args and request.method == "GET":
        return "s3:ListBucketMultipartUploads"
    if is_bucket and request.method in {"GET", "HEAD"}:
        return "s3:ListBucket"
    if "uploadId" in request.args and request.method == "DELETE":
        return "s3:AbortMultipartUpload"
    return {"GET": "s3:GetObject", "HEAD": "s3:GetObject"}.get(request.method, "s3:PutObject")


def _has_right_digests(request: Request, body: bytes) -> bool:
    sha256 = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return (
        sha256 in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}
        and request.headers.get("Content-MD5", md5) == md5
    )


def _error(status: int, code: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>Refused.</Message></Error>"
    return Response(body, status, content_type="application/xml")


@contextmanager
def serve(application: StrictS3) -> Iterator[str]:
    """Serve the application on a free port; yield its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
