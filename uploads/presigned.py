"""Files that clients send to presigned URLs, which need no token.

With storage on S3 the URL is one of S3. Bureau does not see what is sent there, and learns of it
when the session is completed (`completion`). With storage in a folder the URL is one of Bureau. It
accepts one complete body; the file then gets a row and is counted in the session.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, ParseError, PermissionDenied, ValidationError

from accounts.models import User
from common.api.exceptions import Conflict, RequestTooLarge, ServiceUnavailable
from common.events import record
from uploads.digests import BodyDigests
from uploads.models import PresignedUpload, Project, Session, SessionFile
from uploads.transfer import errors, keys
from uploads.transfer.content import ReceivedContent
from uploads.transfer.stores import Store, store_for

UPLOADED = SessionFile.Status.UPLOADED
_signer = Signer(salt="uploads.presigned")


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """A URL to which one file may be sent, and for how many seconds from now."""

    url: str
    key: str
    expires_at: datetime
    expires_in: int
    method: str = "PUT"

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that the client must send; there are none so far."""
        return {}


@transaction.atomic
def presign(
    session: Session, *, by: User, file_key: str, build_absolute_uri: Callable[[str], str]
) -> PresignedUrl:
    """Create a URL for one file.

    Raises `Conflict` if the session accepts no files from clients or has this file already.
    """
    key = keys.join(session.prefix, file_key)
    if problem := keys.key_problem(key):
        raise ValidationError({"file_key": [ErrorDetail(problem, "invalid")]})
    project, seconds = session.project, settings.UPLOAD_URL_SECONDS
    _require_active(project)
    expires_at = timezone.now() + timedelta(seconds=seconds)
    with store_errors_as_api_errors():
        store = store_for(project.company.code, project.bucket_name, project.aws_region)
        url = store.presigned_put(key, seconds=seconds)
        upload = _create_upload(session, by, key, expires_at, store)
    url = url or build_absolute_uri(_signed_path(upload, by))
    record("session.presigned", by=by, target=session)
    return PresignedUrl(url=url, key=key, expires_at=expires_at, expires_in=seconds)


def receive(
    pk: UUID, *, signature: str, stream: BinaryIO, size: int, headers: Mapping[str, str]
) -> SessionFile:
    """Store a body of exactly `size` bytes, sent to a presigned URL of Bureau."""
    related = ("company", "user__company", "session__project__company")
    upload = PresignedUpload.objects.select_related(*related).filter(pk=pk).first()
    if upload is None or not _is_signed(upload, signature) or not _may_still_upload(upload):
        raise PermissionDenied(
            "The signature of this URL is not valid, or the account that asked for the URL has "
            "changed since then. Ask for a new URL.",
            code="bad_signature",
        )
    if upload.used_at:
        raise _used_error()
    if upload.expires_at <= timezone.now():
        raise PermissionDenied("This URL has expired.", code="expired")
    _require_active(upload.session.project)
    if not Session.objects.open_to_files().filter(pk=upload.session_id).exists():
        raise _closed_error()
    if size > settings.UPLOAD_URL_MAX_BYTES:
        raise RequestTooLarge(f"A file may have at most {settings.UPLOAD_URL_MAX_BYTES} bytes.")
    if "Content-Range" in headers:
        raise ParseError("Send the whole file: a part of it (Content-Range) can't be stored.")
    content = PresignedContent(stream, size, upload, BodyDigests(headers))
    with store_errors_as_api_errors(), transaction.atomic():
        _store_of(upload).put(upload.key, content, owner_id=upload.pk)
        file = _save_file(upload, content)
        record("file.received", by=upload.user, target=file)
        return file


def delete_expired() -> int:
    """Delete URLs a day after they expired; return how many.

    Those of open sessions stay, as the session's end reports what was not sent to them. Also
    removes the partial files of a server that was killed while it received a body.
    """
    expired = PresignedUpload.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1))
    expired = expired.exclude(session__in=Session.objects.open_to_files())
    stores: dict[tuple[str, str], Store] = {}
    for upload in expired.filter(used_at=None).select_related("company").iterator():
        bucket = upload.company.code, upload.bucket
        with suppress(errors.StoreError):
            if bucket not in stores:
                stores[bucket] = store_for(*bucket)
            stores[bucket].discard_leftovers(upload.pk)
    return expired.delete()[0]


class PresignedContent(ReceivedContent):
    """The body of a request to a presigned URL; it must be complete, and the first for its URL.

    The store calls `check` when it has all bytes and before the object gets its name. The locks of
    `check` last until the transaction has saved the file row. So of two bodies that are sent to one
    URL at the same time, only one is stored.
    """

    def __init__(
        self, stream: BinaryIO, size: int, upload: PresignedUpload, digests: BodyDigests
    ) -> None:
        super().__init__(stream, size)
        self._expected_size = size
        self._upload = upload
        self._digests = digests

    def chunks(self, size: int) -> Iterator[bytes]:
        for chunk in super().chunks(size):
            self._digests.update(chunk)
            yield chunk

    def check(self) -> None:
        if self.size != self._expected_size:
            raise ParseError(f"Expected {self._expected_size} bytes but received {self.size}.")
        self._digests.check()
        _lock_open_session(self._upload.session_id)
        _require_new_file(self._upload.session_id, self._upload.key)
        unused = PresignedUpload.objects.filter(pk=self._upload.pk, used_at=None)
        if not unused.update(used_at=Now(), updated_at=Now()):
            raise _used_error()


def _save_file(upload: PresignedUpload, content: PresignedContent) -> SessionFile:
    file, _ = SessionFile.objects.update_or_create(
        session=upload.session,
        key=upload.key,
        defaults={
            "company": upload.company,
            "path": upload.key,
            "is_direct": True,
            "size": content.size,
            "sha256": content.sha256,
            "status": UPLOADED,
            "error": "",
        },
    )
    upload.session.count_uploaded_file(content.size)
    return file


def _create_upload(
    session: Session, user: User, key: str, expires_at: datetime, store: Store
) -> PresignedUpload:
    replaced_version = _replaced_version(session, key, store)
    _lock_open_session(session.pk)
    _require_new_file(session.pk, key)
    return PresignedUpload.objects.create(
        company_id=session.company_id,
        session=session,
        user=user,
        bucket=session.project.bucket_name,
        key=key,
        replaced_version=replaced_version,
        expires_at=expires_at,
    )


def _replaced_version(session: Session, key: str, store: Store) -> str:
    """Return the version that the key had before its first URL in this session, or ""."""
    if first := session.presigned_uploads.filter(key=key).order_by("id").first():
        return first.replaced_version
    try:
        stored = store.find(key)
    except errors.AccessDenied:
        return ""
    return stored.version if stored else ""


def _signed_path(upload: PresignedUpload, user: User) -> str:
    """Return the upload's path with the signature."""
    path = reverse("presigned-upload", args=[upload.pk])
    text = _signed_text(upload, user.get_session_auth_hash())
    return f"{path}?signature={_signer.signature(text)}"


def _signed_text(upload: PresignedUpload, user_state: str) -> str:
    """Return all that the signature covers; the key may contain spaces, so it is last.

    `user_state` is the user's `get_session_auth_hash`. It changes with their password, role and
    deactivation, and when all their sessions are ended: the URL ends with them.
    """
    parts = (upload.pk, upload.company_id, upload.session_id, upload.bucket, user_state)
    return " ".join(map(str, (*parts, upload.expires_at.timestamp(), upload.key)))


def _is_signed(upload: PresignedUpload, signature: str) -> bool:
    if upload.user is None:
        return False
    states = (upload.user.get_session_auth_hash(), *upload.user.get_session_auth_fallback_hash())
    return any(_is_signature_of(_signed_text(upload, state), signature) for state in states)


def _is_signature_of(text: str, signature: str) -> bool:
    try:
        _signer.unsign(f"{text}{_signer.sep}{signature}")
    except BadSignature:
        return False
    return True


def _may_still_upload(upload: PresignedUpload) -> bool:
    """Return whether the user can sign in and still sees the session."""
    user = upload.user
    assert user
    return user.can_sign_in and (user.is_superuser or user.company_id == upload.company_id)


def _require_active(project: Project) -> None:
    if not project.is_active:
        raise Conflict("The project is not active.")
    if not project.company.is_active:
        raise Conflict("The company is not active.")


def _store_of(upload: PresignedUpload) -> Store:
    return store_for(upload.company.code, upload.bucket)


def _require_new_file(session_id: UUID, key: str) -> None:
    files = SessionFile.objects.filter(session_id=session_id, key=key)
    if files.filter(status__in=(UPLOADED, SessionFile.Status.SKIPPED)).exists():
        raise Conflict(
            "The session already has a file with this key. Send a new version in a new session."
        )


@contextmanager
def store_errors_as_api_errors() -> Iterator[None]:
    try:
        yield
    except errors.ContentTooLarge as error:
        raise RequestTooLarge(str(error)) from None
    except errors.StoreBusy as error:
        raise ServiceUnavailable(str(error)) from None
    except errors.StoreError as error:
        raise Conflict(str(error)) from None


def _lock_open_session(session_id: UUID) -> None:
    session = Session.objects.open_to_files().filter(pk=session_id)
    if session.select_for_update(no_key=True).first() is None:
        raise _closed_error()


def _closed_error() -> Conflict:
    return Conflict(
        "This session takes no files from clients: it has ended, or was started for a worker."
    )


def _used_error() -> Conflict:
    return Conflict("A file has already been sent to this URL.", code="used")
