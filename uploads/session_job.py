"""The job of a session: list its folder, then copy each file to the bucket.

Each listed file has a row, which ends as uploaded, skipped, or failed with a reason. A killed run
leaves pending rows, and the next run continues with them. An object stores the mtime and checksum
of its source file and the id of the session that put it (`StoredObject`). By these the next run
recognises a file that was copied before its result was saved, and does not copy it again.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice

from django.conf import settings
from django.db.models.functions import Now

from common.events import announce_progress
from common.jobs import JobFailed, JobResult, RetryLater
from common.postgres.retries import retry_on_disconnect
from uploads.counters import SessionCounters
from uploads.file_rows import PAGE_ROWS, FileRows
from uploads.models import Session
from uploads.progress import ProgressWriter
from uploads.transfer import source_folder
from uploads.transfer.cancellation import CancellationToken
from uploads.transfer.copy_pool import CopyPool, CopyTask
from uploads.transfer.copy_worker import CopyWorker
from uploads.transfer.directories import Directory
from uploads.transfer.errors import SourceError, StoreBusy, StoreError
from uploads.transfer.file_copier import CopyOptions, FileCopier
from uploads.transfer.globs import GlobFilter, InvalidGlob
from uploads.transfer.source_folder import SourceEntry
from uploads.transfer.stores import Store, store_for
from uploads.transfer.stores.folder import FolderStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult(SessionCounters, JobResult):
    """The counters of a finished session, and an `error` if some files failed."""

    error: str = ""


def upload(session: Session) -> SessionResult:
    """Copy the session's pending files and return the columns to store at its end.

    Raises `JobFailed` if the folder or bucket cannot be used, `RetryLater` if the store does not
    answer, and `LostLease` if the session was cancelled.
    """
    announce_progress(session)
    source = _open_source(session)
    store, is_empty = _open_store(session)
    file_rows = FileRows(session)
    pool = _copy_pool(session, source, store, is_empty)
    with ProgressWriter(file_rows, pool.pop_finished) as progress, pool:
        has_more = False
        for tasks in _list_files(session, source, file_rows, pool, progress.update):
            has_more |= not pool.submit(tasks)
        has_more |= file_rows.has_more
        pool.run(file_rows.pending() if has_more else [], on_poll=progress.update)
    store.discard_leftovers(session.pk)
    return _result(retry_on_disconnect(file_rows.counters))


def _open_source(session: Session) -> Directory:
    if not session.local_directory:
        raise JobFailed("The session has no local_directory.")
    root, code = settings.UPLOAD_SOURCE_ROOT, session.company.code
    try:
        return source_folder.open_directory(root, code, session.local_directory)
    except SourceError as error:
        raise JobFailed(str(error)) from None


def _open_store(session: Session) -> tuple[Store, bool]:
    """Return the project's bucket and whether it is empty below the prefix."""
    project = session.project
    try:
        store = store_for(session.company.code, project.bucket_name, project.aws_region)
        store.check()
        store.discard_leftovers(session.pk)
        return store, store.is_empty(session.prefix)
    except StoreBusy as error:
        raise RetryLater(str(error)) from None
    except StoreError as error:
        raise JobFailed(str(error)) from None


def _copy_pool(session: Session, source: Directory, store: Store, is_empty: bool) -> CopyPool:
    options = CopyOptions(
        owner_id=session.pk,
        compare_checksums=session.verify == Session.Verify.CHECKSUM,
        target_is_empty=is_empty,
    )
    token = CancellationToken()
    start_copy_worker = None
    # Copying to S3 mostly waits for the network, which threads do as well as processes.
    if isinstance(store, FolderStore):
        start_copy_worker = partial(CopyWorker, source, store, options)
    return CopyPool(
        FileCopier(source, store, options, token.raise_if_cancelled),
        token,
        max_threads=session.max_workers,
        max_retries=session.times_to_retry,
        start_copy_worker=start_copy_worker,
    )


def _list_files(
    session: Session,
    source: Directory,
    file_rows: FileRows,
    pool: CopyPool,
    on_progress: Callable[[], None],
) -> Iterator[list[CopyTask]]:
    """Insert a row for each file and yield the tasks of the new rows, page by page.

    If the folder was listed before, only the folders that could not be read are listed.
    """
    globs = _glob_filter(session)
    for folder in retry_on_disconnect(file_rows.pop_unread_folders) if session.listed_at else [""]:
        entries = source_folder.scan(
            source, globs, prefix=session.prefix, start=folder, on_progress=on_progress
        )
        for page in _pages(entries):
            pool.start_copy_workers_for(entry.size for entry in page)
            yield retry_on_disconnect(partial(file_rows.insert, page))
            on_progress()
    if not session.listed_at:
        retry_on_disconnect(partial(session.renew, listed_at=Now()))


def _glob_filter(session: Session) -> GlobFilter:
    try:
        return GlobFilter(session.include, session.exclude)
    except InvalidGlob as error:
        # A session that was created when this glob was still accepted.
        raise JobFailed(f"A glob of include or exclude is not valid. {error}") from None


def _pages(entries: Iterator[SourceEntry]) -> Iterator[list[SourceEntry]]:
    while page := list(islice(entries, PAGE_ROWS)):
        yield page


def _result(counters: SessionCounters) -> SessionResult:
    status, error = Session.outcome(counters)
    return SessionResult(**asdict(counters), status=status, error=error)
