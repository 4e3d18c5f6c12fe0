from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Field, QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin, ScopedAdmin
from accounts.models import User
from common.api.exceptions import Conflict
from uploads import services
from uploads.models import Cycle, Project, Session, SessionFile
from uploads.querysets import UNENDED
from uploads.transfer import keys
from uploads.transfer.stores import bucket_problem

MOST_BARS = 200


class RowForm(forms.ModelForm):
    """Checks what is unique in a company or project, though neither is a field to fill in."""

    person: User

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"company", "project"}


class ProjectForm(RowForm):
    def clean_bucket_name(self) -> str:
        bucket = self.cleaned_data["bucket_name"]
        if self.instance._state.adding:
            self.instance.company = self.person.company
        if "bucket_name" in self.changed_data and (
            problem := bucket_problem(self.instance.company.code, bucket)
        ):
            raise forms.ValidationError(problem)
        return bucket


class CycleForm(RowForm):
    def clean_project(self) -> Project:
        project = self.cleaned_data["project"]
        self.instance.company_id = project.company_id
        return project

    def clean_prefix(self) -> str:
        try:
            return keys.check_prefix(self.cleaned_data["prefix"])
        except keys.BadKey as error:
            raise forms.ValidationError(str(error)) from None


class RowAdmin(ScopedAdmin):
    """Rows that staff write; their company follows from who writes or from their project."""

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> type[RowForm]:
        form = super().get_form(request, obj, **options)
        return type(form.__name__, (form,), {"person": request.user})


@admin.register(Project)
class ProjectAdmin(RowAdmin):
    form = ProjectForm
    list_display = ("name", "bucket_name", "aws_region", "is_active", "company", "created_at")
    list_filter = ("is_active", "company", "created_at")
    list_select_related = ("company",)
    search_fields = ("name", "bucket_name", "description")
    fields = ("name", "bucket_name", "aws_region", "description", "is_active", "company")
    readonly_fields = ("company",)

    def save_model(self, request: Any, project: Project, form: Any, change: bool) -> None:
        if not change:
            project.save()
            return
        data = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            services.update_project(Project.objects.get(pk=project.pk), by=request.user, **data)
        except Conflict as error:
            messages.error(request, str(error.detail))


@admin.register(Cycle)
class CycleAdmin(RowAdmin):
    form = CycleForm
    list_display = ("number", "name", "project", "shown_status", "company", "created_at")
    list_display_links = ("number", "name")
    list_filter = ("project", "company", "created_at")
    list_select_related = ("project", "company")
    search_fields = ("name", "description", "project__name")
    fields = ("project", "number", "name", "prefix", "description", "metadata", "company")
    readonly_fields = ("company", "metadata")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        cycles: Any = super().get_queryset(request)
        return cycles.with_status()

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Of projects those that the person may see."""
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
    def shown_status(self, cycle: Cycle) -> str:
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
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("shown_session", "project", "cycle", "progress", "user", "company")
    list_filter = ("status", "company", "created_at")
    list_select_related = ("project", "cycle", "user", "company")
    search_fields = ("local_directory", "prefix", "project__name", "user__email")
    readonly_fields = ("progress",)
    inlines = (FileInline,)
    actions = ("start", "cancel", "retry")
    fieldsets = (
        (None, {"fields": ("progress", "error", "started_at", "finished_at", "attempts")}),
        ("What", {"fields": ("project", "cycle", "local_directory", "prefix", "user", "company")}),
        (
            "How",
            {"fields": ("include", "exclude", "verify", "max_workers", "times_to_retry")},
        ),
    )

    class Media:
        css = {"all": ("uploads/progress.css",)}
        js = ("uploads/progress.js",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.progress_view)
        return [path("progress/", view, name="uploads_session_progress"), *super().get_urls()]

    def progress_view(self, request: HttpRequest) -> JsonResponse:
        """The bars of the sessions that the page shows, by their ids, as HTML."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        ids = [pk for pk in map(_uuid, request.GET.getlist("id")[:MOST_BARS]) if pk]
        sessions = self.get_queryset(request).filter(pk__in=ids)
        return JsonResponse({str(session.pk): bar_of(session) for session in sessions})

    @display(description="Session", header=True, ordering="created_at")
    def shown_session(self, session: Session) -> list[str]:
        return [session.local_directory[:60], f"{session.created_at:%d %b %Y, %H:%M}"]

    @display(description="Progress", ordering="status")
    def progress(self, session: Session) -> SafeString:
        return bar_of(session)

    @action(description="Start")
    def start(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._each(request, sessions, services.start, "queued")

    @action(description="Cancel")
    def cancel(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._each(request, sessions, services.cancel, "cancelled")

    @action(description="Retry what failed")
    def retry(self, request: HttpRequest, sessions: QuerySet) -> None:
        self._each(request, sessions, services.retry, "queued again")

    def _each(
        self, request: Any, sessions: QuerySet, act: Callable[..., object], done: str
    ) -> None:
        changed = 0
        for session in sessions:
            try:
                act(session, by=request.user)
                changed += 1
            except Conflict as error:
                messages.error(request, f"{session}: {error.detail}")
        if changed:
            messages.success(request, f"{changed} {done}.")


def bar_of(session: Session) -> SafeString:
    """How far a session is; `progress.js` asks for it anew until the session has ended."""
    done = session.files_uploaded + session.files_skipped
    failed = f", {session.files_failed} failed" if session.files_failed else ""
    return format_html(
        '<span class="upload-progress upload-{}" data-upload="{}" data-upload-url="{}"{}>'
        '<progress max="1" value="{}"></progress>'
        "<span><strong>{}</strong> {} of {} files{}</span></span>",
        session.status,
        session.pk,
        reverse("admin:uploads_session_progress"),
        SafeString(" data-upload-active" if session.status in UNENDED else ""),
        session.progress,
        session.get_status_display(),
        done,
        session.total_files,
        failed,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
