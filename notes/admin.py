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
from notes.batch_status import Standing
from notes.models import Batch, Note, ProviderCall, Summary, SummaryTemplate

OUTCOME_COLOURS = {
    ProviderCall.Outcome.OPEN: "info",
    ProviderCall.Outcome.OK: "success",
    ProviderCall.Outcome.LOST: "danger",
    ProviderCall.Outcome.RATE_LIMITED: "warning",
    ProviderCall.Outcome.TIMEOUT: "warning",
    ProviderCall.Outcome.ERROR: "danger",
    ProviderCall.Outcome.INVALID: "danger",
}
HOW = ("template", "language", "max_words", "text_length")
STATE = ("status", "attempts", "error", "progress", "started_at", "finished_at")
RESULT = ("summary", "omitted", "model", "cached")
USED = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")


class SummaryInline(StackedInline):
    model = Summary
    fk_name = "job_of"
    can_delete = False
    fields = readonly_fields = (*STATE, *RESULT, *USED)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Note)
class NoteAdmin(ScopedAdmin):
    list_display = ("shown_note", "shown_status", "attempts", "error", "user", "company")
    list_filter = ("job__status", "company", "created_at")
    list_select_related = ("job", "user", "company")
    search_fields = ("title", "raw_text", "user__email")
    readonly_fields = ("user", "company", "created_at", "updated_at")
    fields = ("title", "raw_text", "user", "company", "created_at", "updated_at")
    inlines = (SummaryInline,)
    actions = ("summarize_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: Any, note: Note, form: Any, change: bool) -> None:
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_note(Note.objects.get(pk=note.pk), by=request.user, **changed)

    def delete_model(self, request: Any, note: Note) -> None:
        services.delete_note(note, by=request.user)

    def delete_queryset(self, request: Any, notes: QuerySet) -> None:
        for note in notes:
            services.delete_note(note, by=request.user)

    @display(description="Note", header=True, ordering="title")
    def shown_note(self, note: Note) -> list[str]:
        return [str(note), f"{note.created_at:%d %b %Y, %H:%M}"]

    @display(description="Status", label=STATUS_COLOURS, ordering="job__status")
    def shown_status(self, note: Note) -> str:
        return note.job.status

    @display(description="Tries", ordering="job__attempts")
    def attempts(self, note: Note) -> int:
        return note.job.attempts

    @display(description="Error")
    def error(self, note: Note) -> str:
        return note.job.error[:80]

    @action(description="Summarise again")
    def summarize_again(self, request: Any, notes: QuerySet) -> None:
        for note in notes.select_related("job"):
            services.summarize_again(note.job, by=request.user)
        messages.success(request, f"{len(notes)} queued.")


@admin.register(Summary)
class SummaryAdmin(ReadOnlyAdmin):
    list_display = ("shown_summary", "shown_status", "template", "model", "cost_usd", "user")
    list_filter = ("status", "template", "model", "cached", "company", "created_at")
    list_select_related = ("user", "company")
    search_fields = ("summary", "file_name", "user__email")
    show_full_result_count = False
    fields = ("user", "company", "note", "batch", "file_name", *HOW, *STATE, *RESULT, *USED)
    actions = ("summarize_again", "cancel")

    @display(description="Summary", header=True)
    def shown_summary(self, summary: Summary) -> list[str]:
        return [summary.summary[:80] or "-", f"{summary.created_at:%d %b %Y, %H:%M}"]

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, summary: Summary) -> str:
        return summary.status

    @action(description="Summarise again")
    def summarize_again(self, request: Any, summaries: QuerySet) -> None:
        for summary in summaries:
            services.summarize_again(summary, by=request.user)
        messages.success(request, f"{len(summaries)} queued.")

    @action(description="Cancel")
    def cancel(self, request: HttpRequest, summaries: Any) -> None:
        messages.success(request, f"{summaries.cancel_all()} cancelled.")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "shown_status", "shown_counts", "template", "user", "company")
    list_filter = ("company", "created_at")
    list_select_related = ("user", "company")
    fields = ("user", "company", *HOW[:3], "created_at", "shown_status", "shown_counts")
    readonly_fields = ("shown_status", "shown_counts")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        batches: Any = super().get_queryset(request)
        return batches.with_counts()

    @display(description="Status", label=STATUS_COLOURS)
    def shown_status(self, batch: Batch) -> str:
        return Standing.of(batch).status

    @display(description="Texts")
    def shown_counts(self, batch: Batch) -> str:
        counts = Standing.of(batch).counts
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


class TemplateForm(forms.ModelForm):
    """The company is not of the form, so Django itself can't tell whether it has the name."""

    company_id: Any

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        rows = SummaryTemplate.objects.filter(company=self.company_id).named(name)
        if rows.exclude(pk=self.instance.pk).exists():
            raise ValidationError("The company has a template of this name.", code="unique")
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
        if not change:
            template.company = request.user.company
        template.save()


@admin.register(ProviderCall)
class ProviderCallAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "model",
        "colored_outcome",
        "status",
        "cost_usd",
        "upper_estimate",
        "user",
        "error",
    )
    list_filter = ("outcome", "is_estimate", "model", "company", "started_at")
    list_select_related = ("user",)
    search_fields = ("=id", "user__email")
    show_full_result_count = False
    ordering = ("-id",)

    @display(description="Outcome", label=OUTCOME_COLOURS, ordering="outcome")
    def colored_outcome(self, call: ProviderCall) -> str:
        return call.outcome

    @display(description="Estimated cost, at most", ordering="estimated_cost_usd")
    def upper_estimate(self, call: ProviderCall) -> Decimal | None:
        return call.estimated_cost_usd if call.is_estimate else None
