"""The admin's sidebar and first page, made of whatever is registered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from common import dashboard
from common.jobs.admin import STATUS_COLOURS
from common.jobs.models import ACTIVE, Job, JobStatus, job_models

SHOWN_FAILURES = 5
DAY = timedelta(days=1)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The apps in the order of `ADMIN_APPS`, with an icon for each kind of row, then the docs."""
    found = {app["app_label"]: app for app in admin.site.get_app_list(request)}
    ordered = {label: found.pop(label) for label in settings.ADMIN_APPS if label in found}
    start = {"title": "Start", "icon": "home", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [start]}]
    for label, app in (ordered | found).items():
        title = settings.ADMIN_APPS.get(label, app["name"])
        groups.append({"title": title, "separator": True, "items": list(_items(label, app))})
    docs = [
        {"title": "Swagger UI", "icon": "api", "link": reverse("docs")},
        {"title": "ReDoc", "icon": "menu_book", "link": reverse("redoc")},
    ]
    return [*groups, {"title": "API", "separator": True, "items": docs}]


def _items(label: str, app: dict[str, Any]) -> Iterator[dict[str, str]]:
    for model in app["models"]:
        icon = settings.ADMIN_ICONS.get(f"{label}.{model['object_name']}", "table_rows")
        yield {"title": str(model["name"]), "icon": icon, "link": model["admin_url"]}


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What works and what has failed today, of what the person may see, and the apps' plots."""
    visible = [
        (model, rows) for model in job_models() if (rows := _visible(model, request)) is not None
    ]
    counted = [_card(model, rows) for model, rows in visible]
    failed = [row for _, rows in visible for row in _failed(rows)[:SHOWN_FAILURES]]
    failed.sort(key=lambda job: job.finished_at, reverse=True)
    return dashboard.show(request, context) | {
        "work": [card for card in counted if any(card["counts"].values())],
        "failures": [_failure(job) for job in failed[:SHOWN_FAILURES]],
    }


def _visible(model: type[Job], request: HttpRequest) -> QuerySet | None:
    rows: Any = model.objects.all()
    if hasattr(rows, "visible_to"):
        return rows.visible_to(request.user)  # type: ignore[no-any-return]
    return rows if request.user.is_superuser else None  # type: ignore[union-attr]


def _card(model: type[Job], rows: QuerySet) -> dict[str, Any]:
    """Counted by two indexes: what is under way, and by their ids those that are a day old."""
    named = {"waiting": JobStatus.QUEUED, "running": JobStatus.IN_PROGRESS}
    today = {"completed": JobStatus.COMPLETED, "failed": JobStatus.FAILED}
    columns = {name: Count("pk", filter=Q(status=s)) for name, s in (named | today).items()}
    recent = rows.filter(Q(status__in=ACTIVE) | Q(pk__gte=_first_id_of_today()))
    return {
        "title": str(model._meta.verbose_name_plural).capitalize(),
        "link": _list_of(model),
        "icon": settings.ADMIN_ICONS.get(model._meta.label, "work"),
        "counts": recent.order_by().aggregate(**columns),
    }


def _failed(rows: QuerySet) -> QuerySet:
    today = rows.filter(pk__gte=_first_id_of_today(), status=JobStatus.FAILED)
    return today.order_by("-pk").exclude(finished_at=None)


def _failure(job: Job) -> dict[str, Any]:
    meta = job._meta
    row = f"admin:{meta.app_label}_{meta.model_name}_change"
    registered = admin.site.is_registered(type(job))
    return {
        "what": str(job),
        "kind": str(meta.verbose_name).capitalize(),
        "error": job.error[:200],
        "when": job.finished_at,
        "link": reverse(row, args=[job.pk]) if registered else None,
        "colour": STATUS_COLOURS[JobStatus.FAILED],
    }


def _list_of(model: type[Job]) -> str | None:
    if not admin.site.is_registered(model):
        return None
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _first_id_of_today() -> UUID:
    """The smallest UUIDv7 of 24 hours ago."""
    return UUID(int=int((timezone.now() - DAY).timestamp() * 1000) << 80)
