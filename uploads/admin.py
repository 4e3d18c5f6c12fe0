from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin, ScopedAdmin
from accounts.models import User
from common.api.exceptions import Conflict, ServiceUnavailable
from common.events import record
from common.jobs.admin import ProgressBarsMixin
from uploads import services
from uploads.completion import complete_session
from uploads.models import Cycle, Project, Session, SessionFile
from uploads.querysets import UNFINISHED_STATUSES
from uploads.transfer import keys
from uploads.transfer.stores import bucket_problem


class CompanyRowForm(forms.ModelForm):
    """Checks unique constraints that include `company` or `project`.

    Neither is an editable field of the form, so Django would skip these constraints.
    """

    user: User

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"company", "project"}


class ProjectForm(CompanyRowForm):
    def clean_bucket_name(self) -> str:
        bucket = self.cleaned_data["bucket_name"]
        if self.instance._state.adding:
            self.instance.company = self.user.company
        if "bucket_name" in self.changed_data and (
            problem := bucket_problem(self.instance.company.code, bucket)
        ):
            raise forms.ValidationError(problem)
        return bucket


class CycleForm(CompanyRowForm):
    def clean_project(self) -> Project:
        project = self.cleaned_data["project"]
        self.instance.company_id = project.company_id
        return project

    def clean_prefix(self) -> str:
        try:
            return keys.check_prefix(self.cleaned_data["prefix"])
        except keys.InvalidKey as error:
            raise forms.ValidationError(str(error)) from None


class CompanyRowAdmin(ScopedAdmin):
    """Rows that staff edit; the company is that of the user or of the project."""

    update_service: Callable[..., object]
    delete_service: Callable[..., object]

    def get_form(
        self, request: HttpRequest, obj: Any = None, **options: Any
    ) -> type[CompanyRowForm]:
        form = super().get_form(request, obj, **options)
        return type(form.__name__, (form,), {"user": request.user})

    def save_model(self, request: Any, row: Any, form: Any, change: bool) -> None:
        if not change:
            row.save()
            record(f"{row._meta.model_name}.created", by=request.user, target=row)
            return
        data = {name: form.cleaned_data[name] for name in form.changed_data}
        stored = type(row).objects.get(pk=row.pk)
        with self._conflicts_as_messages(request):
            self.update_service(stored, by=request.user, **data)

    def delete_model(self, request: Any, row: Any) -> None:
        with self._conflicts_as_messages(request):
            self.delete_service(row, by=request.user)

    def delete_queryset(self, request: Any, queryset: QuerySet) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @contextmanager
    def _conflicts_as_messages(self, request: HttpRequest) -> Iterator[None]:
        try:
            yield
        except Conflict as error:
            messages.error(request, str(error.detail))


@admin.register(Project)
class ProjectAdmin(CompanyRowAdmin):
    form = ProjectForm
    list_display = ("name", "bucket_name", "aws_region", "is_active", "company", "created_at")
    list_filter = ("is_active", "company", "created_at")
    list_select_related = ("company",)
    search_fields = ("name", "bucket_name", "description")
    fields = ("name", "bucket_name", "aws_region", "description", "is_active", "company")
    readonly_fields = ("company",)
    update_service = staticmethod(services.update_project)
    delete_service = staticmethod(services.delete_project)


@admin.register(Cycle)
class CycleAdmin(CompanyRowAdmin):
    form = CycleForm
    list_display = ("number", "name", "project", "cycle_status", "company", "created_at")
    list_display_links = ("number", "name")
    list_filter = ("project", "company", "created_at")
    list_select_related = ("project", "company")
    search_fields = ("name", "description", "project__name")
    fields = ("project", "number", "name", "prefix", "description", "metadata", "company")
    readonly_fields = ("company", "metadata")
    update_service = staticmethod(services.update_cycle)
    delete_service = staticmethod(services.delete_cycle)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        cycles: Any = super().get_queryset(request)
        return cycles.with_status()

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Offer only projects that are visible to the user."""
        related = admin.RelatedOnlyFieldListFilter
        filters = super().get_list_filter(request)
        return [(name, related) if name == "project" else name for name in filters]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "project"] if obj else fields

    def formfield_for_foreignkey(
        self, db_field: Field, request: HttpRequest, **options: Any
    ) -> forms.Field | None:
        options["queryset"] = Project.objects.visible_to(request.user)
        return super().formfield_for_foreignkey(db_field, request, **options)

    @display(description="Status")
    def cycle_status(self, cycle: Cycle) -> str:
        return cycle.status


class FileInline(TabularInline):
    model = SessionFile
    fields = readonly_fields = ("key", "size", "status", "error", "attempts", "sha256")
    ordering = ("key",)
    per_page = 50
    extra = 0
    can_delete = False
    verbose_name_plural = "files"

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Session)
class SessionAdmin(ProgressBarsMixin, ReadOnlyAdmin):
    unfinished_statuses = UNFINISHED_STATUSES
    list_display = ("session_title", "project", "cycle", "progress_bar", "user", "company")
    list_filter = ("status", "company", "created_at")
    list_select_related = ("project", "cycle", "user", "company")
    search_fields = ("local_directory", "prefix", "project__name", "user__email")
    readonly_fields = ("own_progress_bar",)
    inlines = (FileInline,)
    actions = ("start", "complete", "cancel", "retry")
    fieldsets = (
        (None, {"fields": ("own_progress_bar", "error", "started_at", "finished_at", "attempts")}),
        (
            "Source and target",
            {"fields": ("project", "cycle", "local_directory", "prefix", "user", "company")},
        ),
        (
            "Options",
            {"fields": ("include", "exclude", "verify", "max_workers", "times_to_retry")},
        ),
    )

    @display(description="Session", header=True, ordering="created_at")
    def session_title(self, session: Session) -> list[str]:
        return [session.title[:60], f"{session.created_at:%d %b %Y, %H:%M}"]

    def describe_progress(self, session: Session) -> str:
        copied = session.files_uploaded + session.files_skipped
        failed = f", {session.files_failed} failed" if session.files_failed else ""
        return f"{copied} of {session.total_files} files{failed}"

    @action(description="Start")
    def start(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._apply(request, sessions, services.start_session, "queued")

    @action(description="Complete (direct uploads)")
    def complete(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._apply(request, sessions, complete_session, "ended")

    @action(description="Cancel")
    def cancel(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._apply(request, sessions, services.cancel_session, "cancelled")

    @action(description="Retry failed files")
    def retry(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._apply(request, sessions, services.retry_session, "queued again")

    def _apply(
        self, request: Any, sessions: QuerySet, service: Callable[..., object], result: str
    ) -> None:
        changed = 0
        for session in sessions:
            try:
                service(session, by=request.user)
                changed += 1
            except (Conflict, ServiceUnavailable) as error:
                messages.error(request, f"{session}: {error.detail}")
        if changed:
            messages.success(request, f"{changed} {result}.")
