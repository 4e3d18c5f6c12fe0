"""A session's work: list the files of its folder, then copy each into the project's bucket.

What was listed is a promise: from then on each file has a row, and each row ends uploaded,
skipped or failed with a reason. A run that is killed leaves rows that wait, and the next goes on
with these. An object says itself what it was made of and by which session (`Stored`), so a file
that had arrived and was not yet written down is known again and is not sent twice.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from common.jobs import JobFailed, RetryLater
from common.jobs.runner import through_restarts
from uploads.ledger import PAGE, Ledger
from uploads.models import Session
from uploads.progress import Progress
from uploads.transfer import sources
from uploads.transfer.copying import Copying
from uploads.transfer.crew import Crew
from uploads.transfer.errors import SourceError, StoreBusy, StoreError
from uploads.transfer.folders import Folder
from uploads.transfer.globs import Choice
from uploads.transfer.sources import Entry
from uploads.transfer.stop import Stop
from uploads.transfer.stores import Store, store_for


def upload(session: Session) -> dict[str, Any]:
    """Upload what the session has not uploaded yet and return the columns to store at its end.

    Raises `JobFailed` where there is no such folder or bucket, `RetryLater` where the store does
    not answer, and `LostLease` where the session was cancelled.
    """
    source, store = _source(session), _store(session)
    ledger = Ledger(session)
    with Progress(ledger) as progress:
        _list_files(session, source, ledger, progress)
        _copy_files(session, source, store, ledger, progress)
    store.discard_leftovers(session.pk)
    return _end(through_restarts(ledger.figures))


def _source(session: Session) -> Folder:
    root, code = settings.UPLOAD_SOURCE_ROOT, session.company.code
    try:
        return sources.open_directory(root, code, session.local_directory)
    except SourceError as error:
        raise JobFailed(str(error)) from None


def _store(session: Session) -> Store:
    project = session.project
    try:
        store = store_for(session.company.code, project.bucket_name, project.aws_region)
        store.check()
        store.discard_leftovers(session.pk)
    except StoreBusy as error:
        raise RetryLater(str(error)) from None
    except StoreError as error:
        raise JobFailed(str(error)) from None
    return store


def _list_files(session: Session, source: Folder, ledger: Ledger, progress: Progress) -> None:
    """Give each file a row; once that is done, only folders that could not be read are again."""
    choice = Choice(session.include, session.exclude)
    folders = [""]
    if session.listed_at:
        folders = through_restarts(ledger.take_folders)
    for folder in folders:
        found = sources.scan(
            source, choice, prefix=session.prefix, below=folder, on_step=progress.tick
        )
        for page in _pages(found):
            through_restarts(lambda page=page: ledger.add(page))
    if not session.listed_at:
        through_restarts(lambda: session.renew(listed_at=Now()))


def _pages(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while page := list(islice(entries, PAGE)):
        yield page


def _copy_files(
    session: Session, source: Folder, store: Store, ledger: Ledger, progress: Progress
) -> None:
    stop = Stop()
    by_checksum = session.verify == Session.Verify.CHECKSUM
    copying = Copying(source, store, by=session.pk, by_checksum=by_checksum, stop=stop)
    crew = Crew(copying, stop, size=session.max_workers, retries=session.times_to_retry)
    with crew:
        for settled in crew.run(ledger.waiting(), tick=progress.tick):
            progress.add(settled)


def _end(figures: dict[str, int]) -> dict[str, Any]:
    failed, total = figures["files_failed"], figures["total_files"]
    if not failed:
        return figures
    status = Session.Status.PARTIAL if failed < total else Session.Status.FAILED
    error = f"{failed} of {total} files did not arrive; their list says why."
    return {**figures, "status": status, "error": error}
