"""The rows of a session's files, read and written thousands at once.

Creating model instances would take longer than copying the files, so these statements are plain
SQL. Each one, the session's counters and its lease are written in one transaction: the counters
always equal the sums over the rows, and a run that has lost its lease writes nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least

from common.events import announce_progress
from common.ids import uuid7
from common.postgres.retries import retry_on_disconnect
from uploads.counters import SessionCounters
from uploads.models import Session, SessionFile
from uploads.transfer.copy_pool import CopyTask, FinishedTask
from uploads.transfer.file_copier import CopyStatus
from uploads.transfer.source_folder import SourceEntry

PAGE_ROWS = 1000
MAX_MTIME_NS = 2**63 - 1  # of a bigint column
_TABLE = SessionFile._meta.db_table

_INSERT = f"""
WITH new AS (
    INSERT INTO {_TABLE} (id, created_at, updated_at, company_id, session_id, path, key, size,
        mtime_ns, sha256, status, error, attempts)
    SELECT f.id, now(), now(), %s, %s, f.path, f.key, f.size, f.mtime_ns, '',
        CASE WHEN f.error = '' THEN 'pending' WHEN f.is_skipped THEN 'skipped' ELSE 'failed' END,
        f.error, 0
    FROM json_to_recordset(%s) AS f (id uuid, path text, key text, size bigint, mtime_ns bigint,
        error text, is_skipped boolean)
    ON CONFLICT (session_id, key) DO NOTHING
    RETURNING size, status
)
SELECT
    count(*) AS total_files,
    count(*) FILTER (WHERE status = 'failed') AS files_failed,
    count(*) FILTER (WHERE status = 'skipped') AS files_skipped,
    coalesce(sum(size), 0)::bigint AS total_size_bytes
FROM new
"""  # noqa: S608 - the table name is our own

# Updates pending rows only: if it is repeated because its reply was lost, it counts nothing twice.
_SAVE_RESULTS = f"""
WITH done AS (
    UPDATE {_TABLE} AS file SET
        status = new.status, error = new.error, sha256 = new.sha256, size = new.size,
        mtime_ns = new.mtime_ns, attempts = file.attempts + new.attempts, updated_at = now()
    FROM json_to_recordset(%s) AS new (id uuid, status text, error text, sha256 text,
        size bigint, listed_size bigint, mtime_ns bigint, attempts smallint)
    WHERE file.id = new.id AND file.status = 'pending'
    RETURNING file.status, file.size, file.size - new.listed_size AS size_difference
)
SELECT
    count(*) FILTER (WHERE status = 'uploaded') AS files_uploaded,
    count(*) FILTER (WHERE status = 'skipped') AS files_skipped,
    count(*) FILTER (WHERE status = 'failed') AS files_failed,
    coalesce(sum(size) FILTER (WHERE status = 'uploaded'), 0)::bigint AS bytes_uploaded,
    coalesce(sum(size_difference), 0)::bigint AS total_size_bytes
FROM done
"""  # noqa: S608 - the table name is our own


class FileRows:
    """The file rows of one session; writes raise `LostLease` if this run has lost its lease.

    has_more: whether there may be pending rows that `insert` has not returned.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.has_more = bool(session.listed_at or session.total_files)
        self._files = SessionFile.objects.filter(session=session)

    def pending(self) -> Iterator[CopyTask]:
        """Yield a task for each pending file, ordered by key and read page by page."""
        page = self._pending_after("")
        while page:
            yield from page
            page = self._pending_after(page[-1].key)

    def _pending_after(self, key: str) -> list[CopyTask]:
        pending = self._files.filter(status=SessionFile.Status.PENDING, key__gt=key)
        rows = pending.order_by("key").values_list("pk", "path", "key", "size", "mtime_ns")
        return retry_on_disconnect(lambda: [CopyTask(*row) for row in rows[:PAGE_ROWS]])

    def insert(self, entries: list[SourceEntry]) -> list[CopyTask]:
        """Insert a row for each entry and return tasks for those that can be copied.

        Existing rows stay unchanged. If there are any, no tasks are returned and `has_more` is
        set: `pending` yields the tasks then.
        """
        ids = [uuid7() for _ in entries]
        rows = json.dumps(list(map(_entry_row, ids, entries)))
        session = self._session
        with transaction.atomic():
            added = self._execute(_INSERT, [session.company_id, session.pk, rows])
        if added.total_files < len(entries):
            self.has_more = True
            return []
        return [
            CopyTask(pk, entry.path, entry.key, entry.size, entry.mtime_ns)
            for pk, entry in zip(ids, entries, strict=True)
            if not entry.error
        ]

    def save_results(self, finished: list[FinishedTask]) -> None:
        """Write the results of finished tasks, and renew the lease."""
        if not finished:
            self._session.renew()
            return
        with transaction.atomic():
            self._execute(_SAVE_RESULTS, [json.dumps(list(map(_result_row, finished)))])

    def pop_unread_folders(self) -> list[str]:
        """Delete the rows of folders to scan again and return their paths.

        A folder whose name cannot be part of a key is not scanned again; its path contains a
        backslash (`keys.escape_name`).
        """
        pending = self._files.filter(status=SessionFile.Status.PENDING)
        folders = pending.filter(path__endswith="/").exclude(path__contains="\\")
        with transaction.atomic():
            paths = list(folders.values_list("path", flat=True))
            self._add_to_counters(SessionCounters(total_files=-folders.delete()[0]))
        return [path.removesuffix("/") for path in paths]

    def counters(self) -> SessionCounters:
        return self._files.counters()

    def _execute(self, statement: str, parameters: list[Any]) -> SessionCounters:
        """Execute a statement that returns what to add to the counters, and add it."""
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            names = [column.name for column in cursor.description]
            difference = SessionCounters(**dict(zip(names, cursor.fetchone(), strict=True)))
        self._add_to_counters(difference)
        return difference

    def _add_to_counters(self, difference: SessionCounters) -> None:
        """Add to the session's counters and renew its lease, or raise `LostLease`.

        This also lowers the number of attempts to half of the allowed ones. So a session may be
        killed any number of times, provided that each run makes progress.
        """
        added: dict[str, Any] = {
            name: F(name) + value for name, value in asdict(difference).items()
        }
        half = Least(F("attempts"), self._session.max_attempts // 2)
        self._session.renew(**added, attempts=half)
        announce_progress(self._session)
        self._session.attempts = min(self._session.attempts, self._session.max_attempts // 2)


def _entry_row(pk: UUID, entry: SourceEntry) -> dict[str, Any]:
    return {"id": str(pk), **entry._asdict(), "mtime_ns": _column_mtime_ns(entry.mtime_ns)}


def _column_mtime_ns(mtime_ns: int) -> int:
    """Return the time in the column's range, the years 1677 to 2262; it is only shown there."""
    return max(-MAX_MTIME_NS, min(mtime_ns, MAX_MTIME_NS))


def _result_row(finished: FinishedTask) -> dict[str, Any]:
    task, result = finished
    state = task if result.status is CopyStatus.FAILED else result
    return {
        "id": str(task.pk),
        "status": result.status,
        "error": result.error,
        "sha256": result.sha256,
        "size": state.size,
        "listed_size": task.size,
        "mtime_ns": _column_mtime_ns(state.mtime_ns),
        "attempts": task.attempt,
    }
