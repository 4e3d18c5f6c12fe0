from datetime import UTC, date, datetime, time
from typing import Any, Self

from django.apps import apps
from django.db.models import (
    Count,
    FloatField,
    Func,
    IntegerField,
    Max,
    Min,
    Prefetch,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.aggregates import Aggregate
from django.db.models.functions import Cast, Left, Lower, Now, TruncDate

from accounts.models import Role, User
from accounts.querysets import CompanyOwnedQuerySet, Viewer
from common.jobs import JobQuerySet
from common.jobs.status import JobStatus
from common.normalization import get_spellings

MAX_EXCERPT_CHARS = 300

USAGE_FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
)

ESTIMATE_FIELDS = ("estimated_prompt_tokens", "estimated_completion_tokens", "estimated_cost_usd")


def sees_colleagues_rows(user: User) -> bool:
    """Return whether a user sees the private rows of others too."""
    return user.is_superuser or user.role == Role.ADMIN


class PrivateQuerySet(CompanyOwnedQuerySet):
    """Rows that only their user and the company's admins can see; a `worker` sees none."""

    def visible_to(self, user: Viewer) -> Self:
        visible = super().visible_to(user)
        if not user.is_authenticated or sees_colleagues_rows(user):
            return visible
        return visible.filter(user_id=user.pk) if user.role == Role.AGENT else self.none()


class OctetLength(Func):
    """The number of bytes of a text."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()


class SummaryTemplateQuerySet(CompanyOwnedQuerySet):
    def with_name(self, name: str) -> Self:
        """Compare as the database does: Python folds the case of some letters differently."""
        return self.filter(name__lower__in=[Lower(Value(text)) for text in get_spellings(name)])


class NoteQuerySet(PrivateQuerySet):
    def with_own_summary(self) -> Self:
        return self.select_related("own_summary")

    def without_text(self) -> Self:
        """Load only the beginning of each text, as `excerpt`.

        If rows are sorted without an index, PostgreSQL reads the beginnings of all of them.
        """
        return self.defer("raw_text").annotate(excerpt=Left("raw_text", MAX_EXCERPT_CHARS))

    def text_bytes(self) -> int:
        """Return the size of all texts, which PostgreSQL knows without reading them."""
        total: int = self.aggregate(total=Sum(OctetLength("raw_text"), default=0))["total"]
        return total


class SummaryQuerySet(JobQuerySet, PrivateQuerySet):
    def with_cached(self, cached: bool, *, viewer: User) -> Self:
        """Select by what `viewer` sees as `cached`; see `notes.private_reuse`."""
        is_cached = Q(cached=True)
        if sees_colleagues_rows(viewer):
            is_cached |= Q(reuse_is_private=True)
        return self.filter(is_cached if cached else ~is_cached)


class BatchQuerySet(PrivateQuerySet):
    def with_counts(self) -> Self:
        """Annotate each batch with what `BatchStatus` needs, from one query."""
        counts = {
            status.value: Count("summaries", filter=Q(summaries__status=status))
            for status in JobStatus
        }
        return self.annotate(
            **counts,
            first_started_at=Min("summaries__started_at"),
            last_finished_at=Max("summaries__finished_at"),
            last_updated_at=Max("summaries__updated_at"),
        )

    def with_items(self) -> Self:
        """Prefetch the summaries as `items`, in the order of their texts."""
        summaries = apps.get_model("notes.Summary").objects.order_by("index")
        return self.prefetch_related(Prefetch("summaries", summaries, to_attr="items"))


class Percentile(Aggregate):
    """PostgreSQL's `PERCENTILE_CONT`, which interpolates between two values."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(at)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, *, at: float, **extra: Any) -> None:
        super().__init__(expression, at=at, **extra)


def between_days(field: str, first: date, last: date) -> Q:
    """Return the condition that a time is in the UTC days from `first` to `last`, inclusive."""
    start, end = datetime.combine(first, time.min, UTC), datetime.combine(last, time.max, UTC)
    return Q(**{f"{field}__range": (start, end)})


class ProviderCallQuerySet(PrivateQuerySet):
    def open(self) -> Self:
        return self.filter(outcome="open")

    def without_usage(self) -> Self:
        """Return the ended calls whose usage is not stored, although they may have cost money."""
        return self.filter(prompt_tokens=0).exclude(outcome__in=("ok", "open"))

    def close_as_lost(self) -> int:
        """Close the open calls, with their estimates, and return how many there were.

        A worker that was only paused later replaces the estimate by the usage of the answer.
        """
        return self.open().update(
            outcome="lost",
            is_estimate=True,
            error="The worker died before it read the answer.",
            updated_at=Now(),
        )

    def totals(self) -> dict[str, Any]:
        """Return the sums of tokens and known costs, by the names of the columns.

        The cost is None if there are calls, all of models without a price.
        """
        sums = self.aggregate(**{name: Sum(name) for name in USAGE_FIELDS})
        has_calls = sums["prompt_tokens"] is not None
        return sums if has_calls else dict.fromkeys(USAGE_FIELDS, 0)

    def per_day(self, first: date, last: date, *group_by: str) -> QuerySet:
        """Return sums for each day, or for each day and value of `group_by`."""
        days = self.filter(between_days("started_at", first, last))
        rows = days.values(*group_by, date=TruncDate("started_at", tzinfo=UTC))
        is_estimate = Q(is_estimate=True)
        # Annotations can't have the name of a column, hence the prefix.
        exact = {f"sum_{name}": Sum(name) for name in USAGE_FIELDS}
        estimated = {
            f"sum_{name}": Sum(name, filter=is_estimate, default=0) for name in ESTIMATE_FIELDS
        }
        return rows.annotate(
            calls=Count("pk"),
            failed_calls=Count("pk", filter=~Q(outcome__in=("ok", "open"))),
            estimated_calls=Count("pk", filter=is_estimate),
            **exact,
            **estimated,
        )


class SummaryOutcomeQuerySet(PrivateQuerySet):
    def per_day(self, first: date, last: date, *group_by: str, viewer: User) -> QuerySet:
        """Return counts and whole milliseconds for each day and each value of `group_by`."""
        is_reused = Q(cached=True)
        if sees_colleagues_rows(viewer):
            is_reused |= Q(private_reuse__isnull=False)
        is_new = Q(failed=False) & ~is_reused
        median, p95 = (Percentile("duration_ms", at=at, filter=is_new) for at in (0.5, 0.95))
        outcomes = self.filter(between_days("ended_at", first, last))
        days = outcomes.values(*group_by, date=TruncDate("ended_at", tzinfo=UTC))
        return days.annotate(
            count=Count("pk"),
            failures=Count("pk", filter=Q(failed=True)),
            reused=Count("pk", filter=is_reused),
            median_ms=Cast(median, IntegerField()),
            p95_ms=Cast(p95, IntegerField()),
        )

    def private_reuses(self, first: date, last: date) -> QuerySet:
        """Return day, model and `private_reuse` of the outcomes that have one."""
        outcomes = self.filter(between_days("ended_at", first, last), private_reuse__isnull=False)
        days = outcomes.annotate(date=TruncDate("ended_at", tzinfo=UTC))
        return days.values("date", "model", "private_reuse")
