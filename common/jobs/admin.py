from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from common.events.kinds import kind_of
from common.jobs.status import ACTIVE, JobStatus

# The names of the colours are those of the admin theme, Unfold.
STATUS_COLOURS = {
    JobStatus.QUEUED: "info",
    JobStatus.IN_PROGRESS: "warning",
    JobStatus.COMPLETED: "success",
    JobStatus.FAILED: "danger",
    JobStatus.CANCELLED: "",
}
MAX_PROGRESS_BARS = 200
NO_ATTRIBUTES = SafeString("")


class ProgressBarsMixin:
    """Shows jobs by progress bars, which `progress.js` keeps up to date by the live stream.

    unfinished_statuses: those in which a bar can change.
    """

    unfinished_statuses: Sequence[str] = ACTIVE

    class Media:
        css = {"all": ("bureau/progress.css",)}
        js = ("bureau/live.js", "bureau/progress.js")

    def describe_progress(self, job: Any) -> str:
        """Return the text beside the status; a subclass has its figures."""
        return f"{job.progress:.0%}"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.progress_view)  # type: ignore[attr-defined]
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        return [path("progress/", view, name=self._progress_url_name()), *urls]

    def progress_view(self, request: HttpRequest) -> JsonResponse:
        """Return the HTML of the bars of the requested jobs, by the jobs' ids."""
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        ids = [pk for pk in map(_uuid_or_none, request.GET.getlist("id")[:MAX_PROGRESS_BARS]) if pk]
        jobs = self.get_queryset(request).filter(pk__in=ids)  # type: ignore[attr-defined]
        return JsonResponse({str(job.pk): self._progress_bar(job) for job in jobs})

    @display(description="Progress", ordering="status")
    def progress_bar(self, job: Any) -> SafeString:
        return self._progress_bar(job)

    @display(description="Progress")
    def own_progress_bar(self, job: Any) -> SafeString:
        """On the job's own page, which is loaded again when the job ends."""
        return self._progress_bar(job, attributes=SafeString(" data-progress-reload"))

    def _progress_bar(self, job: Any, *, attributes: SafeString = NO_ATTRIBUTES) -> SafeString:
        is_active = job.status in self.unfinished_statuses
        kind = kind_of(job)
        return format_html(
            '<span class="progress-bar progress-bar-{}" data-progress="{}" data-progress-url="{}"'
            ' data-progress-types="{}"{}{}>'
            '<progress max="1" value="{}"></progress>'
            "<span><strong>{}</strong> {}</span></span>",
            job.status,
            job.pk,
            reverse(f"admin:{self._progress_url_name()}"),
            " ".join([kind.progress_type, *kind.event_types]),
            SafeString(" data-progress-active" if is_active else ""),
            attributes,
            job.progress,
            job.get_status_display(),
            self.describe_progress(job),
        )

    def _progress_url_name(self) -> str:
        options = self.model._meta  # type: ignore[attr-defined]
        return f"{options.app_label}_{options.model_name}_progress"


def _uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
