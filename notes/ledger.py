"""The ledger: each request to an AI provider is a row, committed before the request leaves."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from common.ai.ledger import Purpose
from common.ai.metrics import record_usage
from common.ai.types import CallRecord, CostEstimate, Usage, compute_cost
from common.postgres.retries import retry_on_disconnect
from notes.models import PartNotes, ProviderCall, Summary

NO_USAGE = Usage()


class CallLedger:
    """The `Recorder` of calls for one purpose, registered as the ledger of all apps.

    Each row is committed before its request leaves: `begin` raises `RuntimeError` in a transaction.
    """

    def __init__(
        self,
        *,
        purpose: Purpose,
        company_id: UUID | None,
        user_id: UUID | None,
        summary_id: UUID | None = None,
    ) -> None:
        self.purpose, self.company_id = purpose, company_id
        self.user_id, self.summary_id = user_id, summary_id

    @transaction.atomic(durable=True)
    def begin(self, *, model: str, attempt: int, estimate: CostEstimate) -> UUID:
        call = ProviderCall.objects.create(
            purpose=self.purpose,
            company_id=self.company_id,
            user_id=self.user_id,
            summary_id=self.summary_id,
            model=model,
            attempt=attempt,
            cost_usd=None if estimate.cost_usd is None else Decimal(0),
            estimated_prompt_tokens=estimate.prompt_tokens,
            estimated_completion_tokens=estimate.completion_tokens,
            estimated_cost_usd=estimate.cost_usd,
        )
        return call.pk

    def end(self, handle: object, call: CallRecord) -> None:
        """Store the outcome and usage of a call; `handle` is its row's id."""
        row = ProviderCall.objects.filter(pk=handle)
        retry_on_disconnect(lambda: row.update(**asdict(call), updated_at=Now()))


class SummaryLedger(CallLedger):
    """The `SummaryRecorder` of one run of a summary.

    No request leaves for a run that has lost its lease (`LostLease`) because the summary was
    cancelled, changed, deleted or claimed by another worker.
    """

    def __init__(self, job: Summary) -> None:
        super().__init__(
            purpose=Purpose.SUMMARY,
            company_id=job.company_id,
            user_id=job.user_id,
            summary_id=job.pk,
        )
        self.job = job

    def begin(self, *, model: str, attempt: int, estimate: CostEstimate) -> UUID:
        self.job.renew()
        return super().begin(model=model, attempt=attempt, estimate=estimate)

    def find_notes(self, key: str) -> str | None:
        """Return the notes that any unfinished summary of the company has stored under `key`."""
        parts = PartNotes.objects.filter(company_id=self.job.company_id, key=key)
        return parts.values_list("notes", flat=True).first()

    def save_notes(self, key: str, notes: str) -> None:
        """Store the notes on a part; raise `LostLease` for a run that has lost its lease."""
        retry_on_disconnect(partial(self._save_notes, key, notes))

    @transaction.atomic
    def _save_notes(self, key: str, notes: str) -> None:
        self.job.renew()
        PartNotes.objects.create(
            company_id=self.job.company_id, summary_id=self.job.pk, key=key, notes=notes
        )


class ReconcileResult(NamedTuple):
    updated: int  # calls whose usage was stored
    unknown: int  # ids without a call


def reconcile(usage_by_id: Mapping[UUID, Usage]) -> ReconcileResult:
    """Store the usage that the provider reported for calls whose response was not read.

    The keys are ids of calls. A usage replaces an estimate even if it is 0. Calls do not change if
    their response was read or is still expected. The sums of the summaries are updated.
    """
    known_calls = ProviderCall.objects.filter(pk__in=usage_by_id)
    known = retry_on_disconnect(known_calls.count)
    calls = retry_on_disconnect(lambda: list(known_calls.without_usage()))
    updated = sum(
        retry_on_disconnect(partial(_store_usage, call, usage_by_id[call.pk]))
        for call in calls
        if call.is_estimate or usage_by_id[call.pk] != NO_USAGE
    )
    return ReconcileResult(updated, len(usage_by_id) - known)


@transaction.atomic
def _store_usage(call: ProviderCall, usage: Usage) -> bool:
    """Store the usage of a call and the sums of its summary; return whether the call changed."""
    # The summary is locked before its calls, as when it ends or is deleted, to prevent deadlocks.
    summary = _lock_summary(call.summary_id)
    cost = compute_cost(usage, call.model, settings.OPENAI["prices"])
    updated = (
        ProviderCall.objects.without_usage()
        .filter(pk=call.pk)
        .update(
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            cached_tokens=usage.cached,
            reasoning_tokens=usage.reasoning,
            cost_usd=cost,
            is_estimate=False,
            updated_at=Now(),
        )
    )
    if updated and summary:
        summary.update_usage()
    if updated:
        transaction.on_commit(partial(record_usage, call.model, cost, **asdict(usage)))
    return updated == 1


@transaction.atomic
def update_summary_sums(pk: UUID) -> None:
    """Recompute a summary's sums, which lack the calls that were recorded after its end."""
    if summary := _lock_summary(pk):
        summary.update_usage()


def _lock_summary(pk: UUID | None) -> Summary | None:
    """Lock and return a summary; waits for a transaction that is just ending it."""
    return Summary.objects.select_for_update(no_key=True).filter(pk=pk).first()
