import django_filters

from common.api.filters import BooleanFilter, CreatedFilter, SearchFilter
from common.jobs.models import JobStatus
from notes.models import Batch, Note, Summary


class NoteFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(field_name="job__status", choices=JobStatus.choices)
    search = SearchFilter(
        "title",
        "raw_text",
        "job__summary",
        label="Part of the title, the text or the summary.",
    )

    class Meta:
        model = Note
        fields = ()


class SummaryFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices)
    template = django_filters.CharFilter(lookup_expr="iexact", label="A template's name.")
    model = django_filters.CharFilter()
    cached = BooleanFilter()
    note_id = django_filters.UUIDFilter()
    batch_id = django_filters.UUIDFilter()
    search = SearchFilter(
        "summary",
        "file_name",
        label="Part of the summary or of the file's name.",
    )

    class Meta:
        model = Summary
        fields = ()


class BatchFilter(CreatedFilter):
    template = django_filters.CharFilter(lookup_expr="iexact", label="A template's name.")

    class Meta:
        model = Batch
        fields = ()
