from django.http import HttpRequest

CHUNK_BYTES = 65_536
MAX_DRAINED_BYTES = 128 * 1_048_576


def drain_request_body(request: HttpRequest) -> None:
    """Read and discard a rejected request body, up to `MAX_DRAINED_BYTES`.

    Most clients read the response only after sending the whole body. If the server closed the
    connection earlier, they would report a broken connection instead of the error.
    """
    for _ in range(MAX_DRAINED_BYTES // CHUNK_BYTES):
        if not request.read(CHUNK_BYTES):
            return
