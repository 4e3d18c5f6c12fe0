"""The cost ledger's pen: each request to the provider is a row before it leaves."""

from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from common.ai.types import Call as Answered
from common.ai.types import Usage, cost_of
from common.jobs.runner import through_restarts
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
        through_restarts(lambda: row.update(**asdict(call), updated_at=Now()))


@transaction.atomic
def reconcile(books: Mapping[UUID, Usage]) -> int:
    """Put down what the provider's own books say of answers that nobody read.

    `books` has what the provider counts by the ids that its requests carried. Calls whose answer
    was read are left alone. Returns how many calls have figures now that had none.
    """
    unread = Call.objects.filter(pk__in=books, prompt_tokens=0).exclude(outcome=Call.Outcome.OK)
    calls = list(unread.select_for_update())
    for call in calls:
        used = books[call.pk]
        Call.objects.filter(pk=call.pk).update(
            prompt_tokens=used.prompt,
            completion_tokens=used.completion,
            cached_tokens=used.cached,
            reasoning_tokens=used.reasoning,
            cost_usd=cost_of(used, call.model, settings.OPENAI["prices"]),
            updated_at=Now(),
        )
    return len(calls)
