from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from common.jobs.models import ACTIVE, JobStatus
from notes.models import Summary


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a batch stands, told by one look at its texts, so that `counts` add up to `total`."""

    counts: dict[str, int]
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, batch: Any) -> Self:
        """By the batch's `items` where they were read with it, else by its `with_counts`."""
        if hasattr(batch, "items"):
            return cls._of_items(batch.items)
        counts = {status.value: getattr(batch, status) for status in JobStatus}
        return cls(counts, batch.first_start, batch.last_end, batch.last_change)

    @classmethod
    def _of_items(cls, items: list[Summary]) -> Self:
        found = Counter(item.status for item in items)
        return cls(
            {status.value: found[status] for status in JobStatus},
            min(_known(item.started_at for item in items), default=None),
            max(_known(item.finished_at for item in items), default=None),
            max((item.updated_at for item in items), default=None),
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
        return None if self.active else self.ended_at

    @property
    def status(self) -> JobStatus:
        """`completed` with at least one summary; `failed` and `cancelled` are batches without."""
        if self.active:
            waits = self.counts[JobStatus.QUEUED] == self.total
            return JobStatus.QUEUED if waits else JobStatus.IN_PROGRESS
        if self.counts[JobStatus.COMPLETED] or not self.total:
            return JobStatus.COMPLETED
        return JobStatus.FAILED if self.counts[JobStatus.FAILED] else JobStatus.CANCELLED


def _known(times: Iterable[datetime | None]) -> list[datetime]:
    return [time for time in times if time is not None]
