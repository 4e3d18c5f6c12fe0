"""Ending a session whose files clients have sent to presigned URLs.

Bureau asks the store for each file that a URL was created for, because it does not see what is sent
to a URL of S3. The session is locked meanwhile: a file sent to a URL of Bureau is either counted or
refused.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from itertools import accumulate, takewhile
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from common.api.exceptions import Conflict
from common.events import record
from uploads.models import Session, SessionFile
from uploads.presigned import store_errors_as_api_errors
from uploads.querysets import UNFINISHED_STATUSES
from uploads.transfer.content import StoredObject
from uploads.transfer.errors import AccessDenied, StoreError
from uploads.transfer.stores import Store, store_for

MAX_THREADS = 16
BATCH_ROWS = 1000
# Larger files get their checksum later, as the request could not wait for it.
MAX_BYTES_READ_BY_REQUEST = 64 * 1024 * 1024
CHECKSUM_PERIOD = timedelta(days=7)
MAX_CHECKSUM_RUN_S = 300
NOT_STORED = "No file with this key has arrived in the store."
CHANGED = "The store has another file under this key now."
NOT_READABLE = (
    "No file with this key has arrived in the store, or the store does not allow reading it."
)
Status = SessionFile.Status


@transaction.atomic
def complete_session(session: Session, *, by: User) -> Session:
    """End a session with the files that the store has; repeating this changes nothing.

    The session ends completed, or partial or failed if files have not arrived. Raises `Conflict` if
    a worker runs the session, if it has ended otherwise, or if no URL was created for it.
    """
    locked = Session.objects.select_for_update(no_key=True).get(pk=session.pk)
    if locked.status == Session.Status.COMPLETED:
        return locked
    _require_open(locked)
    _confirm_files(locked)
    counters = locked.files.counters()
    status, error = Session.outcome(counters)
    locked.complete(status, error=error, **asdict(counters))
    record(f"session.{locked.status}", by=by, target=locked)
    return locked


def fill_checksums() -> int:
    """Compute the checksums that `complete_session` left out, for five minutes; return how many."""
    files = SessionFile.objects.filter(is_direct=True, status=Status.UPLOADED, sha256="")
    recent = files.filter(session__finished_at__gte=timezone.now() - CHECKSUM_PERIOD)
    rows = recent.select_related("session__project__company").order_by("size")
    end = time.monotonic() + MAX_CHECKSUM_RUN_S
    return sum(map(_fill_checksum, takewhile(lambda _: time.monotonic() < end, rows)))


def _fill_checksum(file: SessionFile) -> int:
    try:
        sha256 = _store_of(file.session).sha256_of(file.key)
    except StoreError:
        return 0
    rows = SessionFile.objects.filter(pk=file.pk, sha256="")
    return rows.update(sha256=sha256, updated_at=Now()) if sha256 else 0


def _require_open(session: Session) -> None:
    if session.status not in UNFINISHED_STATUSES:
        raise Conflict(f"This session has already ended: it is {session.status}.")
    if session.run_id or session.status == Session.Status.QUEUED:
        raise Conflict("A Bureau worker uploads this session's folder and ends the session itself.")
    if not (session.files.exists() or session.presigned_uploads.exists()):
        raise Conflict(
            "No file was sent to this session. Ask for URLs by POST /uploads/presigned-url, start "
            "the session by POST /uploads/start, or cancel it."
        )


class _Urls(NamedTuple):
    """The presigned URLs of a session.

    replaced_versions: for each key, the version that the store had before its first URL.
    owner_ids: those of the objects that were sent to the URLs; None on S3.
    """

    replaced_versions: dict[str, str]
    owner_ids: set[UUID | None]


def _urls_of(session: Session) -> _Urls:
    rows = session.presigned_uploads.order_by("-id").values_list("id", "key", "replaced_version")
    versions = {key: version for _, key, version in rows}
    return _Urls(versions, {None, *(pk for pk, _, _ in rows)})


def _confirm_files(session: Session) -> None:
    """Set the row of each file that was sent, or had a URL, to what the store has."""
    urls = _urls_of(session)
    files = _files(session, urls.replaced_versions)
    with store_errors_as_api_errors():
        store = _store_of(session)
        with ThreadPoolExecutor(MAX_THREADS) as threads:
            found = list(threads.map(lambda file: _find(store, file.key), files))
            pairs = zip(files, found, strict=True)
            arrived = [file for file, result in pairs if _apply(file, result, urls)]
            list(threads.map(lambda file: _read_checksum(store, file), _small_files(arrived)))
    SessionFile.objects.bulk_create(
        files,
        batch_size=BATCH_ROWS,
        update_conflicts=True,
        unique_fields=("session", "key"),
        update_fields=("status", "error", "size", "sha256", "updated_at"),
    )


def _files(session: Session, keys: Iterable[str]) -> list[SessionFile]:
    """Return the session's files, with new ones for those of `keys` that have no row."""
    files = {file.key: file for file in session.files.all()}
    for key in keys:
        if key not in files:
            files[key] = SessionFile(
                company_id=session.company_id, session=session, path=key, key=key, is_direct=True
            )
    return list(files.values())


def _find(store: Store, key: str) -> StoredObject | str:
    """Return the object, or why there is none."""
    try:
        return store.find(key) or NOT_STORED
    except AccessDenied:
        return NOT_READABLE


def _apply(file: SessionFile, found: StoredObject | str, urls: _Urls) -> bool:
    """Set the file's status and size; return whether it has just arrived."""
    was_uploaded = file.status == Status.UPLOADED
    problem = found if isinstance(found, str) else _problem(file, found, urls)
    file.status = Status.FAILED if problem else Status.UPLOADED
    file.error = problem
    if problem or was_uploaded or isinstance(found, str):
        return False
    file.size, file.sha256 = found.size, found.sha256
    return True


def _problem(file: SessionFile, stored: StoredObject, urls: _Urls) -> str:
    """Return why the object is not the file that was sent, or ""."""
    if file.status == Status.UPLOADED:
        return CHANGED if file.size != stored.size else ""
    replaced = urls.replaced_versions.get(file.key, stored.version)
    is_replaced = replaced != "" and replaced == stored.version
    return NOT_STORED if is_replaced or stored.owner_id not in urls.owner_ids else ""


def _small_files(files: list[SessionFile]) -> list[SessionFile]:
    """Return the files whose checksums are unknown, as long as their sum is small."""
    unknown = [file for file in files if not file.sha256]
    sums = accumulate(file.size for file in unknown)
    small = takewhile(lambda size: size <= MAX_BYTES_READ_BY_REQUEST, sums)
    return [file for file, _ in zip(unknown, small, strict=False)]


def _read_checksum(store: Store, file: SessionFile) -> None:
    with suppress(StoreError):
        file.sha256 = store.sha256_of(file.key)


def _store_of(session: Session) -> Store:
    project = session.project
    return store_for(project.company.code, project.bucket_name, project.aws_region)
