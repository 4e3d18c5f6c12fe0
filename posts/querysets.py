from typing import Any

from django.db import transaction

from common.jobs.querysets import JobQuerySet, requeue_columns
from common.jobs.status import ACTIVE, JobStatus
from common.logs import current_request_id


class FeedQuerySet(JobQuerySet):
    """The one row that is the mirror's state."""

    def state(self) -> Any:
        """The mirror's row, or `None` where nobody has asked for a refresh yet."""
        return self.filter(name=self.model.NAME).first()

    def ask_for_refresh(self, *, now: bool = False) -> Any:
        """Queue a refresh unless one waits or runs; with `now` one that waits is not put off."""
        busy = (JobStatus.IN_PROGRESS,) if now else ACTIVE
        with transaction.atomic():
            first = {"request_id": current_request_id()}
            feed, made = self.get_or_create(name=self.model.NAME, defaults=first)
            queued = self.filter(pk=feed.pk).exclude(status__in=busy).update(**requeue_columns())
            if made or queued:
                feed.publish_on_commit()
        feed.refresh_from_db()
        return feed
