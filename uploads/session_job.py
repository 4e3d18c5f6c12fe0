"""A session's work: list the files of its folder, then copy each into the project's bucket.

What was listed is a promise: from then on each file has a row, and each row ends uploaded,
skipped or failed with a reason. A run that is killed leaves rows that wait, and the next goes on
with these. An object says itself what it was made of and by which session (`Stored`), so a file
that had arrived and was not yet written down is known again and is not sent twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from django.conf import settings
from django.db.models.functions import Now

from common.jobs import JobFailed, JobResult, RetryLater
from common.postgres.retries import retry_on_disconnect
from uploads.file_rows import PAGE, Ledger
from uploads.models import Session
from uploads.progress import Progress
from uploads.transfer import sources
from uploads.transfer.cancellation import Stop
from uploads.transfer.copy_worker import Helper
from uploads.transfer.copying import Copying, How
from uploads.transfer.errors import SourceError, StoreBusy, StoreError
from uploads.transfer.folders import Folder
from uploads.transfer.globs import Choice
from uploads.transfer.sources import Entry
from uploads.transfer.stores import Store, store_for
from uploads.transfer.stores.folder import FolderStore
from uploads.transfer.worker_pool import Crew, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult(JobResult):
    """The counters of a finished session, and `error` where not all files arrived."""

    total_files: int
    files_uploaded: int
    files_failed: int
    files_skipped: int
    total_size_bytes: int
    bytes_uploaded: int
    error: str = ""


def upload(session: Session) -> SessionResult:
    """Upload what the session has not uploaded yet and return the columns to store at its end.

    Raises `JobFailed` where there is no such folder or bucket, `RetryLater` where the store does
    not answer, and `LostLease` where the session was cancelled.
    """
    source = _source(session)
    store, is_new = _store(session)
    ledger, stop = Ledger(session), Stop()
    by_checksum = session.verify == Session.Verify.CHECKSUM
    how = How(by=session.pk, by_checksum=by_checksum, is_new=is_new)
    copying = Copying(source, store, how, stop.check)
    crew = Crew(
        copying,
        stop,
        size=session.max_workers,
        retries=session.times_to_retry,
        # On S3 time is spent waiting, of which threads do as much.
        start_helper=partial(Helper, source, store, how)
        if isinstance(store, FolderStore)
        else None,
    )
    with Progress(ledger, crew.settled) as progress, crew:
        has_more = False
        for page in _listed(session, source, ledger, crew, progress.tick):
            has_more |= not crew.offer(page)
        has_more |= ledger.has_more
        crew.run(ledger.waiting() if has_more else [], tick=progress.tick)
    store.discard_leftovers(session.pk)
    return _end(retry_on_disconnect(ledger.figures))


def _source(session: Session) -> Folder:
    root, code = settings.UPLOAD_SOURCE_ROOT, session.company.code
    try:
        return sources.open_directory(root, code, session.local_directory)
    except SourceError as error:
        raise JobFailed(str(error)) from None


def _store(session: Session) -> tuple[Store, bool]:
    """The project's bucket, and whether nothing is below the session's prefix yet."""
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


def _listed(
    session: Session, source: Folder, ledger: Ledger, crew: Crew, tick: Callable[[], None]
) -> Iterator[list[Task]]:
    """Give each file a row and return those that wait, page by page.

    Once that is done, only folders that could not be read are listed again.
    """
    choice, prefix = Choice(session.include, session.exclude), session.prefix
    for folder in retry_on_disconnect(ledger.take_folders) if session.listed_at else [""]:
        found = sources.scan(source, choice, prefix=prefix, below=folder, on_step=tick)
        for page in _pages(found):
            crew.expect(entry.size for entry in page)
            yield retry_on_disconnect(partial(ledger.add, page))
            tick()
    if not session.listed_at:
        retry_on_disconnect(partial(session.renew, listed_at=Now()))


def _pages(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while page := list(islice(entries, PAGE)):
        yield page


def _end(figures: dict[str, int]) -> SessionResult:
    failed, total = figures["files_failed"], figures["total_files"]
    status, error = Session.Status.COMPLETED, ""
    if failed:
        status = Session.Status.PARTIAL if failed < total else Session.Status.FAILED
        error = f"{failed} of {total} files did not arrive; their list says why."
    return SessionResult(**figures, status=status, error=error)
