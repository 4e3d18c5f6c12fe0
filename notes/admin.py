from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import StackedInline
from unfold.decorators import action, display

from accounts.admin import ScopedAdmin
from common.jobs.admin import STATUS_COLOURS
from notes.models import Note, Summary


class SummaryInline(StackedInline):
    model = Summary
    can_delete = False
    fields = readonly_fields = (
        "status",
        "attempts",
        "error",
        "summary",
        "omitted",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "started_at",
        "finished_at",
    )

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

    def save_model(self, request: HttpRequest, note: Note, form: object, change: bool) -> None:
        super().save_model(request, note, form, change)
        if "raw_text" in form.changed_data:  # type: ignore[attr-defined]
            note.job.requeue()

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
    def summarize_again(self, request: HttpRequest, notes: QuerySet) -> None:
        for note in notes:
            note.job.requeue()
        messages.success(request, f"{len(notes)} queued.")
