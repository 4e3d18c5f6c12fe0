from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from common.jobs.status import ACTIVE, JobStatus
from notes.models import Summary


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The status of a batch, computed from its summaries.

    One query reads them all, so that `counts` always add up to `total`.
    """

    counts: dict[str, int]
    started_at: datetime | None
    last_finished_at: datetime | None
    updated_at: datetime

    @classmethod
    def of(cls, batch: Any) -> Self:
        """Return the status of a batch that was read by `with_items` or `with_counts`."""
        if hasattr(batch, "items"):
            return cls._from_items(batch)
        counts = {status.value: getattr(batch, status) for status in JobStatus}
        # The maximum is null once all summaries are deleted.
        updated_at = batch.last_updated_at or batch.updated_at
        return cls(counts, batch.first_started_at, batch.last_finished_at, updated_at)

    @classmethod
    def _from_items(cls, batch: Any) -> Self:
        items: list[Summary] = batch.items
        counts = Counter(item.status for item in items)
        return cls(
            {status.value: counts[status] for status in JobStatus},
            min(_without_none(item.started_at for item in items), default=None),
            max(_without_none(item.finished_at for item in items), default=None),
            max((item.updated_at for item in items), default=batch.updated_at),
        )

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def active(self) -> int:
        return sum(self.counts[status] for status in ACTIVE)

    @property
    def progress(self) -> float:
        """The share of texts that have ended, 0 to 1."""
        return round(1 - self.active / self.total, 3) if self.total else 1.0

    @property
    def finished_at(self) -> datetime | None:
        return None if self.active else self.last_finished_at

    @property
    def status(self) -> JobStatus:
        """The status of the batch as a whole.

        After its end: `completed` with at least one summary, else `failed` with at least one
        failure, else `cancelled`.
        """
        if self.active:
            is_queued = self.counts[JobStatus.QUEUED] == self.total
            return JobStatus.QUEUED if is_queued else JobStatus.IN_PROGRESS
        if self.counts[JobStatus.COMPLETED] or not self.total:
            return JobStatus.COMPLETED
        return JobStatus.FAILED if self.counts[JobStatus.FAILED] else JobStatus.CANCELLED


def _without_none(times: Iterable[datetime | None]) -> list[datetime]:
    return [time for time in times if time is not None]
