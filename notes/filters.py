from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema_field

from common.api.filters import BooleanFilter, CreatedFilter, FilterSet, NameFilter, SearchFilter
from common.jobs.status import JobStatus
from notes.models import Batch, Note, Summary, SummaryTemplate
from notes.summary_templates import TEMPLATE_NAME_SCHEMA


@extend_schema_field(TEMPLATE_NAME_SCHEMA)
class TemplateNameFilter(NameFilter):
    pass


class NoteFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(
        field_name="own_summary__status",
        choices=JobStatus.choices,
        label="The state of the summary.",
    )
    search = SearchFilter(
        "title",
        "raw_text",
        "own_summary__summary",
        label="Text that the title, the text or the summary contains.",
    )

    class Meta:
        model = Note
        fields = ()


class SummaryFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices, label="The state.")
    template = TemplateNameFilter(label="The name of a template.")
    model = django_filters.CharFilter(label="The model that made the summary.")
    cached = BooleanFilter(method="filter_cached", label="Whether an equal summary was used again.")
    note_id = django_filters.UUIDFilter(label="The summarised note.")
    batch_id = django_filters.UUIDFilter(label="The batch.")
    search = SearchFilter(
        "summary",
        "file_name",
        label="Text that the summary or the file's name contains.",
    )

    class Meta:
        model = Summary
        fields = ()

    def filter_cached(self, summaries: Any, _name: str, cached: bool) -> Any:
        return summaries.with_cached(cached, viewer=self.request.user)


class BatchFilter(CreatedFilter):
    template = TemplateNameFilter(label="The name of a template.")
    search = SearchFilter("template", "language", label="Part of the template or the language.")

    class Meta:
        model = Batch
        fields = ()


class TemplateFilter(FilterSet):
    search = SearchFilter("name", "description", label="Part of the name or the description.")

    class Meta:
        model = SummaryTemplate
        fields = ()
