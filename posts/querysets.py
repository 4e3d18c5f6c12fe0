from typing import Any

from django.db import transaction

from common.jobs.querysets import JobQuerySet, requeue_columns
from common.jobs.status import ACTIVE, JobStatus
from common.logs import current_request_id


class FeedQuerySet(JobQuerySet):
    """The feed's only row."""

    def current(self) -> Any:
        """Return the row, or `None` before the first refresh was requested."""
        return self.filter(name=self.model.NAME).first()

    def request_refresh(self, *, immediately: bool = False) -> Any:
        """Queue a refresh unless one is queued or running.

        With `immediately`, a queued refresh that waits for its next run becomes due.
        """
        unchanged = (JobStatus.IN_PROGRESS,) if immediately else ACTIVE
        with transaction.atomic():
            defaults = {"request_id": current_request_id()}
            feed, created = self.get_or_create(name=self.model.NAME, defaults=defaults)
            idle = self.filter(pk=feed.pk).exclude(status__in=unchanged)
            queued = idle.update(**requeue_columns())
            if created or queued:
                feed.publish_on_commit()
        feed.refresh_from_db()
        return feed
