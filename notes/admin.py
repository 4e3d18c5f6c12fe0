from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import StackedInline
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin, ScopedAdmin
from common.jobs.admin import STATUS_COLOURS
from notes import services
from notes.batch_status import BatchStatus
from notes.models import Batch, Note, ProviderCall, Summary, SummaryTemplate
from notes.querysets import USAGE_FIELDS, sees_colleagues_rows

OUTCOME_COLOURS = {
    ProviderCall.Outcome.OPEN: "info",
    ProviderCall.Outcome.OK: "success",
    ProviderCall.Outcome.LOST: "danger",
    ProviderCall.Outcome.RATE_LIMITED: "warning",
    ProviderCall.Outcome.TIMEOUT: "warning",
    ProviderCall.Outcome.ERROR: "danger",
    ProviderCall.Outcome.INVALID: "danger",
}
OPTION_FIELDS = ("template", "language", "max_words")
JOB_FIELDS = ("status", "attempts", "error", "progress", "started_at", "finished_at")
RESULT_FIELDS = ("summary", "omitted", "model", "cached")
MAX_EXCERPT_CHARS = 80


class SummaryInline(StackedInline):
    model = Summary
    fk_name = "own_note"
    can_delete = False
    fields = readonly_fields = (*JOB_FIELDS, *RESULT_FIELDS, *USAGE_FIELDS)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Note)
class NoteAdmin(ScopedAdmin):
    list_display = (
        "display_note",
        "display_status",
        "display_attempts",
        "display_error",
        "user",
        "company",
    )
    list_filter = ("own_summary__status", "company", "created_at")
    list_select_related = ("own_summary", "user", "company")
    search_fields = ("title", "raw_text", "user__email")
    readonly_fields = ("user", "company", "created_at", "updated_at")
    fields = ("title", "raw_text", "user", "company", "created_at", "updated_at")
    inlines = (SummaryInline,)
    actions = ("summarize_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Leave the texts in the database; a note's own page loads its text."""
        notes: Any = super().get_queryset(request)
        return notes.without_text()

    def save_model(self, request: Any, note: Note, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_note(Note.objects.get(pk=note.pk), by=request.user, **changes)

    def delete_model(self, request: Any, note: Note) -> None:
        services.delete_note(note, by=request.user)

    @display(description="Note", header=True, ordering="title")
    def display_note(self, note: Note) -> list[str]:
        return [str(note), f"{note.created_at:%d %b %Y, %H:%M}"]

    @display(description="Status", label=STATUS_COLOURS, ordering="own_summary__status")
    def display_status(self, note: Note) -> str:
        return note.own_summary.status

    @display(description="Attempts", ordering="own_summary__attempts")
    def display_attempts(self, note: Note) -> int:
        return note.own_summary.attempts

    @display(description="Error")
    def display_error(self, note: Note) -> str:
        return note.own_summary.error[:MAX_EXCERPT_CHARS]

    @action(description="Summarise again")
    def summarize_again(self, request: Any, notes: QuerySet) -> None:
        for note in notes.select_related("own_summary"):
            services.requeue_summary(note.own_summary, by=request.user)
        messages.success(request, f"Summaries queued: {len(notes)}.")


@admin.register(Summary)
class SummaryAdmin(ReadOnlyAdmin):
    list_display = ("display_summary", "display_status", "template", "model", "cost_usd", "user")
    list_filter = ("status", "template", "model", "cached", "company", "created_at")
    list_select_related = ("user", "company")
    search_fields = ("summary", "file_name", "user__email")
    show_full_result_count = False
    fields = (
        "user",
        "company",
        "note",
        "batch",
        "file_name",
        *OPTION_FIELDS,
        "text_length",
        *JOB_FIELDS,
        *RESULT_FIELDS,
        *USAGE_FIELDS,
    )
    actions = ("summarize_again", "cancel")

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        """Show a private reuse only to those who see the rows that had the summary."""
        is_shown = sees_colleagues_rows(request.user)
        return (*self.fields, "reuse_is_private") if is_shown else self.fields

    @display(description="Summary", header=True)
    def display_summary(self, summary: Summary) -> list[str]:
        return [summary.summary[:MAX_EXCERPT_CHARS] or "-", f"{summary.created_at:%d %b %Y, %H:%M}"]

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def display_status(self, summary: Summary) -> str:
        return summary.status

    @action(description="Summarise again")
    def summarize_again(self, request: Any, summaries: QuerySet) -> None:
        for summary in summaries:
            services.requeue_summary(summary, by=request.user)
        messages.success(request, f"Summaries queued: {len(summaries)}.")

    @action(description="Cancel")
    def cancel(self, request: Any, summaries: QuerySet) -> None:
        cancelled = sum(services.cancel_summary(row, by=request.user) for row in summaries)
        messages.success(request, f"Summaries cancelled: {cancelled}.")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "display_status", "display_counts", "template", "user", "company")
    list_filter = ("company", "created_at")
    list_select_related = ("user", "company")
    fields = ("user", "company", *OPTION_FIELDS, "created_at", "display_status", "display_counts")
    readonly_fields = ("display_status", "display_counts")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        batches: Any = super().get_queryset(request)
        return batches.with_counts()

    @display(description="Status", label=STATUS_COLOURS)
    def display_status(self, batch: Batch) -> str:
        return BatchStatus.of(batch).status

    @display(description="Texts")
    def display_counts(self, batch: Batch) -> str:
        counts = BatchStatus.of(batch).counts
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


class TemplateForm(forms.ModelForm):
    """A form that checks the name's uniqueness itself, because it has no company field."""

    company_id: Any

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        same_name = SummaryTemplate.objects.filter(company=self.company_id).with_name(name)
        if same_name.exclude(pk=self.instance.pk).exists():
            raise ValidationError(
                "The company already has a template with this name.", code="unique"
            )
        return name


@admin.register(SummaryTemplate)
class SummaryTemplateAdmin(ScopedAdmin):
    form = TemplateForm
    list_display = ("name", "description", "company", "updated_at")
    list_filter = ("company",)
    list_select_related = ("company",)
    search_fields = ("name", "description")
    fields = ("name", "description", "instructions")

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **options)
        form.company_id = (obj or request.user).company_id
        return form

    def save_model(self, request: Any, template: SummaryTemplate, form: Any, change: bool) -> None:
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            services.update_template(template, by=request.user, **changes)
        else:
            created = services.create_template(by=request.user, **form.cleaned_data)
            template.pk = created.pk  # for the log entry and the redirect

    def delete_model(self, request: Any, template: SummaryTemplate) -> None:
        services.delete_template(template, by=request.user)


@admin.register(ProviderCall)
class ProviderCallAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "purpose",
        "model",
        "display_outcome",
        "status",
        "cost_usd",
        "display_estimate",
        "user",
        "error",
    )
    list_filter = ("purpose", "outcome", "is_estimate", "model", "company", "started_at")
    list_select_related = ("user",)
    search_fields = ("=id", "user__email")
    show_full_result_count = False
    ordering = ("-id",)

    @display(description="Outcome", label=OUTCOME_COLOURS, ordering="outcome")
    def display_outcome(self, call: ProviderCall) -> str:
        return call.outcome

    @display(description="Upper estimate of the cost", ordering="estimated_cost_usd")
    def display_estimate(self, call: ProviderCall) -> Decimal | None:
        return call.estimated_cost_usd if call.is_estimate else None
