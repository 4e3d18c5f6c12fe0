"""`Idempotency-Key`: a POST that is sent again creates nothing again.

The answer is stored in the transaction that does the work, under an advisory lock on the key
that lasts as long as that transaction. So there is no moment in which the work is done and the
answer is not stored, and a process that dies leaves nothing behind.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from common.api.exceptions import Conflict
from common.models import IdempotencyRecord

HEADER = "Idempotency-Key"
KEPT_HEADERS = ("Location", "ETag")

Handler = Callable[..., Response]


class KeyReused(APIException):
    status_code = 422
    default_detail = f"This {HEADER} came with another body before."
    default_code = "idempotency_key_reused"


class StillRunning(Conflict):
    default_detail = f"A request with this {HEADER} is still running."
    default_code = "idempotency_key_in_use"


def idempotent(handler: Handler) -> Handler:
    """Make a view's POST handler answer a repeated `Idempotency-Key` with the first answer.

    Same key and body: the stored answer, marked `Idempotency-Replayed: true`. Another body: 422.
    Still running: 409. Only successes are stored, so that a failed try can be made again.
    """

    @wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
            message = f"{HEADER} takes 1 to 255 printable ASCII characters."
            raise ValidationError({HEADER: [message]})
        scope, fingerprint = _scope(request), _fingerprint(request)
        with transaction.atomic():
            _lock(scope, key)
            if record := IdempotencyRecord.objects.filter(scope=scope, key=key).first():
                return _replay(record, fingerprint)
            response = handler(view, request, *args, **kwargs)
            _store(response, scope=scope, key=key, fingerprint=fingerprint)
        return response

    wrapped.takes_idempotency_key = True  # type: ignore[attr-defined]
    return wrapped


def _scope(request: Request) -> str:
    who = request.user.pk if request.user.is_authenticated else "anonymous"
    return f"{who} {request.path}"[:200]


def _fingerprint(request: Request) -> str:
    digest = hmac.new(settings.SECRET_KEY.encode(), digestmod=hashlib.sha256)
    for part in _parts(request.data):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _parts(data: Any) -> Iterator[bytes]:
    if not hasattr(data, "lists"):
        yield json.dumps(data, sort_keys=True).encode()
        return
    for name, values in sorted(data.lists()):
        yield name.encode()
        for value in values:
            yield from value.chunks() if isinstance(value, UploadedFile) else [str(value).encode()]


def _lock(scope: str, key: str) -> None:
    digest = hashlib.sha256(f"{scope}\0{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if not cursor.fetchone()[0]:
            raise StillRunning


def _replay(record: IdempotencyRecord, fingerprint: str) -> Response:
    if not hmac.compare_digest(record.fingerprint, fingerprint):
        raise KeyReused
    headers = record.headers | {"Idempotency-Replayed": "true"}
    return Response(json.loads(bytes(record.body)), status=record.status, headers=headers)


def _store(response: Response, **identity: str) -> None:
    if response.status_code < 400:
        IdempotencyRecord.objects.create(
            status=response.status_code,
            body=json.dumps(response.data, cls=JSONEncoder).encode(),
            headers={name: response[name] for name in KEPT_HEADERS if name in response},
            **identity,
        )
