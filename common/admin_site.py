"""The admin's sidebar and first page, built from the registered models and job kinds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from common import dashboard
from common.ids import first_uuid7_of
from common.jobs.models import Job, job_models
from common.jobs.status import ACTIVE, JobStatus

MAX_FAILURES = 5
RECENT_AGE = timedelta(days=1)
MAX_ERROR_CHARS = 200
DEFAULT_MODEL_ICON = "table_rows"
DEFAULT_JOB_ICON = "work"


@dataclass(frozen=True, slots=True)
class JobCard:
    """The numbers of active and recent jobs of one kind, by state."""

    title: str
    link: str | None
    icon: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed recently."""

    job: str
    kind: str
    error: str
    finished_at: datetime
    link: str | None


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: the apps in the order of `ADMIN_APPS`, other apps, the API docs."""
    others = {app["app_label"]: app for app in admin.site.get_app_list(request)}
    ordered = {label: others.pop(label) for label in settings.ADMIN_APPS if label in others}
    start = {"title": "Start", "icon": "home", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [start]}]
    for label, app in (ordered | others).items():
        title = settings.ADMIN_APPS.get(label, app["name"])
        groups.append(
            {"title": title, "separator": True, "items": list(_sidebar_items(label, app))}
        )
    docs = [
        {"title": "Swagger UI", "icon": "api", "link": reverse("docs")},
        {"title": "ReDoc", "icon": "menu_book", "link": reverse("redoc")},
    ]
    return [*groups, {"title": "API", "separator": True, "items": docs}]


def _sidebar_items(label: str, app: dict[str, Any]) -> Iterator[dict[str, str]]:
    for model in app["models"]:
        icon = settings.ADMIN_ICONS.get(f"{label}.{model['object_name']}", DEFAULT_MODEL_ICON)
        yield {"title": str(model["name"]), "icon": icon, "link": model["admin_url"]}


def get_dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the job counts, recent failures and the apps' sections to `context`.

    This is Unfold's `DASHBOARD_CALLBACK`.
    """
    jobs = {
        model: rows for model in job_models() if (rows := _visible_jobs(model, request)) is not None
    }
    cards = [_job_card(model, rows) for model, rows in jobs.items()]
    failed = [job for rows in jobs.values() for job in _failed_jobs(rows)[:MAX_FAILURES]]
    failed.sort(key=lambda job: job.finished_at, reverse=True)
    return context | {
        "sections": dashboard.collect_sections(request),
        "job_cards": [card for card in cards if any(card.counts.values())],
        "failures": [_failure(job) for job in failed[:MAX_FAILURES]],
    }


def _visible_jobs(model: type[Job], request: HttpRequest) -> QuerySet | None:
    rows: Any = model.objects.all()
    if hasattr(rows, "visible_to"):
        return rows.visible_to(request.user)  # type: ignore[no-any-return]
    return rows if request.user.is_superuser else None  # type: ignore[union-attr]


def _job_card(model: type[Job], rows: QuerySet) -> JobCard:
    """Count the active and the recent jobs.

    Two indexes find them: the one on active jobs, and the primary key, which orders by age.
    """
    statuses = (JobStatus.QUEUED, JobStatus.IN_PROGRESS, JobStatus.COMPLETED, JobStatus.FAILED)
    columns = {status.value: Count("pk", filter=Q(status=status)) for status in statuses}
    recent = rows.filter(Q(status__in=ACTIVE) | Q(pk__gte=_min_recent_id()))
    counts = recent.order_by().aggregate(**columns)
    return JobCard(
        title=str(model._meta.verbose_name_plural).capitalize(),
        link=_changelist_url(model),
        icon=settings.ADMIN_ICONS.get(model._meta.label, DEFAULT_JOB_ICON),
        counts={status.label.lower(): counts[status.value] for status in statuses},
    )


def _failed_jobs(rows: QuerySet) -> QuerySet:
    recent = rows.filter(pk__gte=_min_recent_id(), status=JobStatus.FAILED)
    return recent.order_by("-pk").exclude(finished_at=None)


def _failure(job: Any) -> Failure:
    return Failure(
        job=str(job),
        kind=str(job._meta.verbose_name).capitalize(),
        error=job.error[:MAX_ERROR_CHARS],
        finished_at=job.finished_at,
        link=_change_url(job),
    )


def _changelist_url(model: type[Job]) -> str | None:
    if not admin.site.is_registered(model):
        return None
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _change_url(job: Job) -> str | None:
    if not admin.site.is_registered(type(job)):
        return None
    return reverse(f"admin:{job._meta.app_label}_{job._meta.model_name}_change", args=[job.pk])


def _min_recent_id() -> UUID:
    """Return the smallest UUIDv7 of the last 24 hours."""
    return first_uuid7_of(timezone.now() - RECENT_AGE)
