"""The rows of a session's files, read and written thousands at once.

Model instances would cost more time than the files themselves, so these few statements are plain
SQL. Each of them, the session's figures and its lease are one transaction: the figures are always
the sums of the rows, and a run that has lost its lease writes nothing.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least

from common.ids import uuid7
from common.postgres.retries import retry_on_disconnect
from uploads.models import Session, SessionFile
from uploads.transfer.copying import Fate
from uploads.transfer.sources import Entry
from uploads.transfer.worker_pool import Settled, Task

PAGE = 1000
_TABLE = SessionFile._meta.db_table

_ADD = f"""
WITH new AS (
    INSERT INTO {_TABLE} (id, created_at, updated_at, company_id, session_id, path, key, size,
        mtime_ns, sha256, status, error, attempts)
    SELECT f.id, now(), now(), %s, %s, f.path, f.key, f.size, f.mtime_ns, '',
        CASE f.error WHEN '' THEN 'pending' ELSE 'failed' END, f.error, 0
    FROM json_to_recordset(%s)
        AS f (id uuid, path text, key text, size bigint, mtime_ns bigint, error text)
    ON CONFLICT (session_id, key) DO NOTHING
    RETURNING size, status
)
SELECT count(*), coalesce(sum(size), 0)::bigint, count(*) FILTER (WHERE status = 'failed') FROM new
"""  # noqa: S608 - no part of it comes from outside

# Only what waits: made again because its answer was lost, the statement counts nothing twice.
_SETTLE = f"""
WITH done AS (
    UPDATE {_TABLE} AS file SET
        status = new.status, error = new.error, sha256 = new.sha256, size = new.size,
        mtime_ns = new.mtime_ns, attempts = file.attempts + new.tries, updated_at = now()
    FROM json_to_recordset(%s) AS new (id uuid, status text, error text, sha256 text,
        size bigint, listed_size bigint, mtime_ns bigint, tries smallint)
    WHERE file.id = new.id AND file.status = 'pending'
    RETURNING file.status, file.size, file.size - new.listed_size AS grown
)
SELECT
    count(*) FILTER (WHERE status = 'uploaded') AS files_uploaded,
    count(*) FILTER (WHERE status = 'skipped') AS files_skipped,
    count(*) FILTER (WHERE status = 'failed') AS files_failed,
    coalesce(sum(size) FILTER (WHERE status = 'uploaded'), 0)::bigint AS bytes_uploaded,
    coalesce(sum(grown), 0)::bigint AS total_size_bytes
FROM done
"""  # noqa: S608 - no part of it comes from outside


class Ledger:
    """The files of one session; writes raise `LostLease` where the session is not this run's.

    has_more: whether files may wait that `add` has not returned.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.has_more = bool(session.listed_at or session.total_files)
        self._files = SessionFile.objects.filter(session=session)

    def waiting(self) -> Iterator[Task]:
        """The files that wait, by their keys, read page by page."""
        page = self._waiting_after("")
        while page:
            yield from page
            page = self._waiting_after(page[-1].key)

    def _waiting_after(self, key: str) -> list[Task]:
        waiting = self._files.filter(status=SessionFile.Status.PENDING, key__gt=key)
        rows = waiting.order_by("key").values_list("pk", "path", "key", "size", "mtime_ns")
        return retry_on_disconnect(lambda: [Task(*row) for row in rows[:PAGE]])

    def add(self, entries: list[Entry]) -> list[Task]:
        """Note what a scan has found and return what waits of it, unless some was known already.

        What is known stays as it is.
        """
        ids = [uuid7() for _ in entries]
        rows = [{"id": str(pk), **entry._asdict()} for pk, entry in zip(ids, entries, strict=True)]
        session = self._session
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ADD, [session.company_id, session.pk, json.dumps(rows)])
            files, size, failed = cursor.fetchone()
            self._count(total_files=files, total_size_bytes=size, files_failed=failed)
        if files < len(rows):
            self.has_more = True
            return []
        return [
            Task(pk, entry.path, entry.key, entry.size, entry.mtime_ns)
            for pk, entry in zip(ids, entries, strict=True)
            if not entry.error
        ]

    def settle(self, settled: list[Settled]) -> None:
        """Write what became of files, and renew the lease."""
        if not settled:
            self._session.renew()
            return
        rows = json.dumps(list(map(_row, settled)))
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_SETTLE, [rows])
            names = [column.name for column in cursor.description]
            self._count(**dict(zip(names, cursor.fetchone(), strict=True)))

    def take_folders(self) -> list[str]:
        """The folders that are to be scanned again; they are files that wait no longer.

        Those whose name makes no key have none again: a backslash marks these.
        """
        waiting = self._files.filter(status=SessionFile.Status.PENDING)
        folders = waiting.filter(path__endswith="/").exclude(path__contains="\\")
        with transaction.atomic():
            paths = list(folders.values_list("path", flat=True))
            self._count(total_files=-folders.delete()[0])
        return [path.removesuffix("/") for path in paths]

    def figures(self) -> dict[str, int]:
        return self._files.figures()

    def _count(self, **figures: int) -> None:
        """Add to the session's figures; where it is not this run's, all is rolled back.

        A try that gets on leaves the session half of its tries at least: it may be killed again
        and again, as long as there is progress in between.
        """
        added: dict[str, Any] = {name: F(name) + number for name, number in figures.items()}
        half = Least(F("attempts"), self._session.max_attempts // 2)
        self._session.renew(**added, attempts=half)
        self._session.attempts = min(self._session.attempts, self._session.max_attempts // 2)


def _row(settled: Settled) -> dict[str, Any]:
    task, outcome = settled
    state = task if outcome.fate is Fate.FAILED else outcome
    return {
        "id": str(task.pk),
        "status": outcome.fate,
        "error": outcome.error,
        "sha256": outcome.sha256,
        "size": state.size,
        "listed_size": task.size,
        "mtime_ns": state.mtime_ns,
        "tries": task.tries,
    }
