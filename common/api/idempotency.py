"""`Idempotency-Key`: a POST that is repeated with the same key creates nothing twice.

The response is stored in the transaction that does the work, under an advisory lock on the key
that lasts as long as that transaction. So the work is never committed without its response, and
a process that dies leaves nothing behind.
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
from common.ratelimit.addresses import client_address

HEADER = "Idempotency-Key"
STORED_HEADERS = ("Location", "ETag")
MAX_KEY_CHARS = 255
MAX_SCOPE_CHARS = 200

Handler = Callable[..., Response]


class IdempotencyKeyReused(APIException):
    status_code = 422
    default_detail = f"This {HEADER} was already used with another request body."
    default_code = "idempotency_key_reused"


class IdempotencyKeyInUse(Conflict):
    default_detail = f"A request with this {HEADER} is still running."
    default_code = "idempotency_key_in_use"


def idempotent(handler: Handler) -> Handler:
    """Decorate a POST handler so that a repeated `Idempotency-Key` gets the first response.

    Same key and body: the stored response, marked `Idempotency-Replayed: true`. Another body: 422.
    Still running: 409. Only successful responses are stored, so a failed request can be retried.
    """

    @wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        _validate_key(key)
        scope, fingerprint = _scope(request), _compute_fingerprint(request)
        with transaction.atomic():
            _acquire_lock(scope, key)
            if record := IdempotencyRecord.objects.filter(scope=scope, key=key).first():
                return _replay_response(record, fingerprint)
            response = handler(view, request, *args, **kwargs)
            _store_response(response, scope=scope, key=key, fingerprint=fingerprint)
        return response

    wrapper.accepts_idempotency_key = True  # type: ignore[attr-defined]
    return wrapper


def _validate_key(key: str) -> None:
    if not (0 < len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        message = f"{HEADER} must be 1 to {MAX_KEY_CHARS} printable ASCII characters."
        raise ValidationError({HEADER: [message]})


def _scope(request: Request) -> str:
    """Return whose keys these are: the user's, or without sign-in those of the client's address."""
    user = request.user.pk if request.user.is_authenticated else client_address(request)
    return f"{user} {request.path}"[:MAX_SCOPE_CHARS]


def _compute_fingerprint(request: Request) -> str:
    digest = hmac.new(settings.SECRET_KEY.encode(), digestmod=hashlib.sha256)
    for part in _body_parts(request.data):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _body_parts(data: Any) -> Iterator[bytes]:
    if not hasattr(data, "lists"):
        yield json.dumps(data, sort_keys=True).encode()
        return
    for name, values in sorted(data.lists()):
        yield name.encode()
        for value in values:
            yield from value.chunks() if isinstance(value, UploadedFile) else [str(value).encode()]


def _acquire_lock(scope: str, key: str) -> None:
    digest = hashlib.sha256(f"{scope}\0{key}".encode()).digest()
    lock_id = int.from_bytes(digest[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_id])
        if not cursor.fetchone()[0]:
            raise IdempotencyKeyInUse


def _replay_response(record: IdempotencyRecord, fingerprint: str) -> Response:
    if not hmac.compare_digest(record.fingerprint, fingerprint):
        raise IdempotencyKeyReused
    headers = record.headers | {"Idempotency-Replayed": "true"}
    return Response(json.loads(bytes(record.body)), status=record.status, headers=headers)


def _store_response(response: Response, *, scope: str, key: str, fingerprint: str) -> None:
    if response.status_code < 400:
        IdempotencyRecord.objects.create(
            scope=scope,
            key=key,
            fingerprint=fingerprint,
            status=response.status_code,
            body=json.dumps(response.data, cls=JSONEncoder).encode(),
            headers={name: response[name] for name in STORED_HEADERS if name in response},
        )
