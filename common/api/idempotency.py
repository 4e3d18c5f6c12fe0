"""`Idempotency-Key`: a POST that is repeated with the same key creates nothing twice.

The response is stored in the transaction that does the work, under an advisory lock on the key
that lasts as long as that transaction. So the work is never committed without its response, and
a process that dies leaves nothing behind. Only a handler that calls another server, during which no
transaction may be open, reserves its key by a row.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial, wraps
from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
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
RUNNING = 102  # the status (Processing) of a reserved key
RESERVATION = timedelta(minutes=3)  # longer than any such request
MAX_SCOPE_CHARS = 200

Handler = Callable[..., Response]


class IdempotencyKeyReused(APIException):
    status_code = 422
    default_detail = f"This {HEADER} was already used with another request body."
    default_code = "idempotency_key_reused"


class IdempotencyKeyInUse(Conflict):
    default_detail = f"A request with this {HEADER} is still running."
    default_code = "idempotency_key_in_use"


class RepeatableRequest(NamedTuple):
    """A request with an `Idempotency-Key`; `run` calls its handler."""

    scope: str
    key: str
    fingerprint: str
    run: Callable[[], Response]


def idempotent(handler: Handler) -> Handler:
    """Decorate a POST handler so that a repeated `Idempotency-Key` gets the first response.

    Same key and body: the stored response, marked `Idempotency-Replayed: true`. Another body: 422.
    Still running: 409. Only successful responses are stored, so a failed request can be retried.
    """
    return _accept_key(handler, _run_in_transaction)


def idempotent_outside_transaction(handler: Handler) -> Handler:
    """Decorate like `idempotent` a handler that calls another server, which may take long.

    A committed row reserves the key instead of a transaction. If the process dies, the key is free
    again after `RESERVATION`.
    """
    return _accept_key(handler, _run_with_reservation)


def _accept_key(handler: Handler, run: Callable[[RepeatableRequest], Response]) -> Handler:
    @wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        _validate_key(key)
        call_handler = partial(handler, view, request, *args, **kwargs)
        fingerprint = _compute_fingerprint(request)
        return run(RepeatableRequest(_scope(request), key, fingerprint, call_handler))

    wrapper.accepts_idempotency_key = True  # type: ignore[attr-defined]
    return wrapper


@transaction.atomic
def _run_in_transaction(request: RepeatableRequest) -> Response:
    _acquire_lock(request.scope, request.key)
    if record := IdempotencyRecord.objects.filter(scope=request.scope, key=request.key).first():
        return _replay_response(record, request.fingerprint)
    response = request.run()
    if response.status_code < 400:
        IdempotencyRecord.objects.create(
            scope=request.scope,
            key=request.key,
            fingerprint=request.fingerprint,
            **_build_columns(response),
        )
    return response


def _run_with_reservation(request: RepeatableRequest) -> Response:
    records = IdempotencyRecord.objects.filter(scope=request.scope, key=request.key)
    records.filter(status=RUNNING, created_at__lt=Now() - RESERVATION).delete()
    record, is_new = records.get_or_create(
        scope=request.scope,
        key=request.key,
        defaults={"fingerprint": request.fingerprint, "status": RUNNING, "body": b""},
    )
    if not is_new:
        return _replay_response(record, request.fingerprint)
    reserved = IdempotencyRecord.objects.filter(pk=record.pk)
    try:
        response = request.run()
    except BaseException:
        reserved.delete()
        raise
    reserved.update(**_build_columns(response))
    return response


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
    if record.status == RUNNING:
        raise IdempotencyKeyInUse
    headers = record.headers | {"Idempotency-Replayed": "true"}
    return Response(json.loads(bytes(record.body)), status=record.status, headers=headers)


def _build_columns(response: Response) -> dict[str, Any]:
    """Return the columns that store a response."""
    return {
        "status": response.status_code,
        "body": json.dumps(response.data, cls=JSONEncoder).encode(),
        "headers": {name: response[name] for name in STORED_HEADERS if name in response},
    }
