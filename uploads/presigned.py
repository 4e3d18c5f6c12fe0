"""Files that clients send by themselves, to a URL that needs no token.

S3 has such URLs of its own, and what is sent there is not seen here: the machine that runs the
session reports it. For a folder the URL is ours. It may be tried until one whole body has come;
from then on it is used. The file is then a row of the session and in its figures.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models.functions import Now
from django.http import UnreadablePostError
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, ParseError, PermissionDenied, ValidationError
from rest_framework.request import Request

from common.api.exceptions import Conflict, RequestTooLarge, ServiceUnavailable
from uploads.models import DirectUpload, Session, SessionFile
from uploads.transfer import errors, keys
from uploads.transfer.content import Received
from uploads.transfer.stores import Store, store_for

UPLOADED = SessionFile.Status.UPLOADED
# At once in one process, which has four threads (see the Procfile), and how long others wait.
MOST_AT_ONCE = 3
PATIENCE = 2.0
_slots = threading.BoundedSemaphore(MOST_AT_ONCE)
_signer = Signer(salt="uploads.presigned")


@dataclass(frozen=True, slots=True)
class Presigned:
    """Where a file may be sent, how, and for how many seconds from now."""

    url: str
    key: str
    expires_at: datetime
    expires_in: int
    method: str = "PUT"

    @property
    def headers(self) -> dict[str, str]:
        """What has to be sent along: nothing."""
        return {}


def presign(session: Session, *, file_key: str, request: Request) -> Presigned:
    """Make a URL for one file; `Conflict` where the session takes no more, or has it already."""
    key = keys.join(session.prefix, file_key)
    if problem := keys.key_problem(key):
        raise ValidationError({"file_key": [ErrorDetail(problem, "invalid")]})
    if not Session.objects.open_to_machines().filter(pk=session.pk).exists():
        raise Conflict("This session takes no direct uploads: it has ended, or a worker runs it.")
    _refuse_again(session.pk, key)
    project, seconds = session.project, settings.UPLOAD_URL_SECONDS
    if not project.is_active:
        raise Conflict("The project is not active.")
    expires_at = timezone.now() + timedelta(seconds=seconds)
    with _told():
        store = store_for(project.company.code, project.bucket_name, project.aws_region)
        url = store.presigned_put(key, seconds=seconds)
    url = url or _url_of_ours(session, key, expires_at, request)
    return Presigned(url=url, key=key, expires_at=expires_at, expires_in=seconds)


def receive(pk: UUID, *, signature: str, stream: BinaryIO, size: int) -> SessionFile:
    """Store what is sent to a URL of ours: `size` bytes, all of them or nothing."""
    upload = DirectUpload.objects.select_related("company").filter(pk=pk).first()
    if upload is None or not _is_signed(upload, signature):
        raise PermissionDenied("This URL is not one that was made here.", code="bad_signature")
    if upload.used_at:
        raise _used()
    if upload.expires_at <= timezone.now():
        raise PermissionDenied("This URL has expired.", code="expired")
    if size > settings.UPLOAD_URL_MAX_BYTES:
        raise RequestTooLarge(f"At most {settings.UPLOAD_URL_MAX_BYTES} bytes are taken.")
    content = Incoming(stream, size, upload)
    with _told(), _slot(), transaction.atomic():
        _store_of(upload).put(upload.key, content, by=upload.pk)
        return _record(upload, content)


def forget_expired() -> int:
    """Remove URLs a day after they expired, and what a killed server left of bodies sent there."""
    expired = DirectUpload.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1))
    for upload in expired.filter(used_at=None).select_related("company").iterator():
        with suppress(errors.StoreError):
            _store_of(upload).discard_leftovers(upload.pk)
    return expired.delete()[0]


class Incoming(Received):
    """A body on its way into the store, which is let in whole and once.

    The store asks `check` when it has all bytes and has not yet given them their name. The locks
    that are taken then last until the transaction has recorded the file: so of two that were sent
    to the same URL the second finds it used.
    """

    def __init__(self, stream: BinaryIO, size: int, upload: DirectUpload) -> None:
        super().__init__(stream, size)
        self._expected = size
        self._upload = upload

    def check(self) -> None:
        if self.size != self._expected:
            raise ParseError(f"{self.size} bytes came instead of {self._expected}.")
        session = Session.objects.open_to_machines().filter(pk=self._upload.session_id)
        if session.select_for_update().first() is None:
            raise Conflict("This session takes no more direct uploads.")
        _refuse_again(self._upload.session_id, self._upload.key)
        unused = DirectUpload.objects.filter(pk=self._upload.pk, used_at=None)
        if not unused.update(used_at=Now(), updated_at=Now()):
            raise _used()


def _record(upload: DirectUpload, content: Incoming) -> SessionFile:
    file, _ = SessionFile.objects.update_or_create(
        session=upload.session,
        key=upload.key,
        defaults={
            "company": upload.company,
            "path": upload.key,
            "size": content.size,
            "sha256": content.sha256,
            "status": UPLOADED,
            "error": "",
        },
    )
    upload.session.add_uploaded(content.size)
    return file


def _url_of_ours(session: Session, key: str, expires_at: datetime, request: Request) -> str:
    upload = DirectUpload.objects.create(
        company_id=session.company_id,
        session=session,
        bucket=session.project.bucket_name,
        key=key,
        expires_at=expires_at,
    )
    path = reverse("direct-upload", args=[upload.pk])
    return request.build_absolute_uri(f"{path}?signature={_signer.signature(_claims(upload))}")


def _claims(upload: DirectUpload) -> str:
    """All that the URL is good for; the key, which may hold anything, is last."""
    parts = (upload.pk, upload.company_id, upload.session_id, upload.bucket)
    return " ".join(map(str, (*parts, upload.expires_at.timestamp(), upload.key)))


def _is_signed(upload: DirectUpload, signature: str) -> bool:
    try:
        _signer.unsign(f"{_claims(upload)}{_signer.sep}{signature}")
    except BadSignature:
        return False
    return True


def _store_of(upload: DirectUpload) -> Store:
    return store_for(upload.company.code, upload.bucket)


def _refuse_again(session_id: UUID, key: str) -> None:
    files = SessionFile.objects.filter(session_id=session_id, key=key)
    if files.filter(status__in=(UPLOADED, SessionFile.Status.SKIPPED)).exists():
        raise Conflict("The session has this file already; send another state of it in a new one.")


@contextmanager
def _slot() -> Iterator[None]:
    """A slow line keeps a thread of the server busy; one is left for all other requests."""
    if not _slots.acquire(timeout=PATIENCE):
        raise ServiceUnavailable("Too many files come at once. Try again soon.")
    try:
        yield
    finally:
        _slots.release()


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong in the store or on the way to it, as the client is to hear of it."""
    try:
        yield
    except errors.TooLarge as error:
        raise RequestTooLarge(str(error)) from None
    except errors.StoreBusy as error:
        raise ServiceUnavailable(str(error)) from None
    except errors.StoreError as error:
        raise Conflict(str(error)) from None
    except UnreadablePostError:
        raise ParseError("The body broke off.") from None


def _used() -> Conflict:
    return Conflict("A file was sent to this URL already.", code="used")
