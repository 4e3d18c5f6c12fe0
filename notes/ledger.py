"""The cost ledger's pen: each request to the provider is a row before it leaves."""

from dataclasses import asdict
from uuid import UUID

from django.db.models.functions import Now

from common.ai.types import Call as Answered
from common.jobs.runner import persist
from notes.models import Call, Summary


class Ledger:
    """The `Recorder` of one run of a summary.

    Each write is committed at once, whatever becomes of the run. No request leaves without its
    row, nor for a run that is no longer the summary's (`LostLease`): it was cancelled, edited,
    deleted, or given to another worker.
    """

    def __init__(self, job: Summary) -> None:
        self.job = job

    def begin(self, *, model: str, attempt: int) -> UUID:
        self.job.renew()
        call = Call.objects.create(
            company_id=self.job.company_id,
            user_id=self.job.user_id,
            summary_id=self.job.pk,
            model=model,
            attempt=attempt,
        )
        return call.pk

    def end(self, handle: object, call: Answered) -> None:
        """Store what the call has cost, the moment its answer is read."""
        row = Call.objects.filter(pk=handle)
        persist(lambda: row.update(**asdict(call), updated_at=Now()))
