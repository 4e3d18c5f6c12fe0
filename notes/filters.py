import django_filters
from django.db.models import Q, QuerySet

from common.api.filters import BooleanFilter, FilterSet
from common.jobs.models import JobStatus
from notes.models import Batch, Note, Summary


class CreatedFilter(FilterSet):
    """When a row was made, and by whom."""

    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    user_id = django_filters.UUIDFilter(label="Whose; of use to admins.")


class NoteFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(field_name="job__status", choices=JobStatus.choices)
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the title, the text or the summary."
    )

    class Meta:
        model = Note
        fields = ()

    def filter_search(self, notes: QuerySet, _name: str, words: str) -> QuerySet:
        return notes.filter(
            Q(title__icontains=words)
            | Q(raw_text__icontains=words)
            | Q(job__summary__icontains=words)
        )


class SummaryFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices)
    template = django_filters.CharFilter(lookup_expr="iexact", label="A template's name.")
    model = django_filters.CharFilter()
    cached = BooleanFilter()
    note_id = django_filters.UUIDFilter()
    batch_id = django_filters.UUIDFilter()
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the summary or of the file's name."
    )

    class Meta:
        model = Summary
        fields = ()

    def filter_search(self, summaries: QuerySet, _name: str, words: str) -> QuerySet:
        return summaries.filter(Q(summary__icontains=words) | Q(file_name__icontains=words))


class BatchFilter(CreatedFilter):
    template = django_filters.CharFilter(lookup_expr="iexact", label="A template's name.")

    class Meta:
        model = Batch
        fields = ()
