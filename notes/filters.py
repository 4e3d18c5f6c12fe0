import django_filters
from django.db.models import Q, QuerySet

from common.api.filters import FilterSet
from common.jobs.models import JobStatus
from notes.models import Note


class NoteFilter(FilterSet):
    status = django_filters.ChoiceFilter(field_name="job__status", choices=JobStatus.choices)
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the title, the text or the summary."
    )
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    user_id = django_filters.UUIDFilter(label="Whose notes; of use to admins.")

    class Meta:
        model = Note
        fields = ()

    def filter_search(self, notes: QuerySet, _name: str, words: str) -> QuerySet:
        return notes.filter(
            Q(title__icontains=words)
            | Q(raw_text__icontains=words)
            | Q(job__summary__icontains=words)
        )
