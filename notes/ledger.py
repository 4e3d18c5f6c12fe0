"""The cost ledger's pen: each request to the provider is a row before it leaves."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from common.ai.metrics import record_usage
from common.ai.types import Call as Answered
from common.ai.types import Usage, cost_of
from common.postgres.retries import retry_on_disconnect
from notes.models import Call, Part, Summary


class Ledger:
    """The `Recorder` of one run of a summary.

    Each write is committed at once, whatever becomes of the run. No request leaves without its
    row, nor for a run that is no longer the summary's (`LostLease`): it was cancelled, edited,
    deleted, or given to another worker.
    """

    late_costs = "reconcile_calls"

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
        retry_on_disconnect(lambda: row.update(**asdict(call), updated_at=Now()))

    def recall(self, key: str) -> str | None:
        """The notes on a part that any of the company's summaries, not yet there, has paid for."""
        known = Part.objects.filter(company_id=self.job.company_id, key=key)
        return known.values_list("notes", flat=True).first()

    def keep(self, key: str, answer: str) -> None:
        """Store the notes on a part; not for a run that is no longer the summary's."""
        retry_on_disconnect(partial(self._keep, key, answer))

    @transaction.atomic
    def _keep(self, key: str, answer: str) -> None:
        self.job.renew()
        Part.objects.create(
            company_id=self.job.company_id, summary_id=self.job.pk, key=key, notes=answer
        )


class Reconciled(NamedTuple):
    filled: int  # calls that have figures now and had none
    unknown: int  # ids that no call has


def reconcile(books: Mapping[UUID, Usage]) -> Reconciled:
    """Put down what answers cost that nobody read, by the ids that their requests carried.

    Calls whose answer was read are left alone. A summary that has others costs more from now on.
    """
    named = Call.objects.filter(pk__in=books)
    known = retry_on_disconnect(named.count)
    calls = retry_on_disconnect(lambda: list(named.unread()))
    paid = [call for call in calls if books[call.pk] != Usage()]
    filled = sum(retry_on_disconnect(partial(_fill_in, call, books[call.pk])) for call in paid)
    return Reconciled(filled, len(books) - known)


def _fill_in(call: Call, used: Usage) -> int:
    cost = cost_of(used, call.model, settings.OPENAI["prices"])
    unread = Call.objects.unread().filter(pk=call.pk)
    filled = unread.update(
        prompt_tokens=used.prompt,
        completion_tokens=used.completion,
        cached_tokens=used.cached,
        reasoning_tokens=used.reasoning,
        cost_usd=cost,
        updated_at=Now(),
    )
    if filled:
        record_usage(call.model, cost, **asdict(used))
        sum_up(call.summary_id)
    return filled


@transaction.atomic
def sum_up(pk: UUID | None) -> None:
    """Bring a summary's sums up to date with calls that were put down after its end.

    Whoever ends it meanwhile holds its row, and is waited for.
    """
    for summary in Summary.objects.select_for_update(no_key=True).filter(pk=pk):
        summary.sum_up()
