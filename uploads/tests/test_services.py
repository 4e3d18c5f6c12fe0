"""The events that the services record, each with its actor and target."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from common.api.exceptions import Conflict
from common.tests.support.changes import capture_changes
from uploads import services
from uploads.models import Cycle, Project, Session, SessionFile

pytestmark = pytest.mark.django_db

Event = tuple[str, str, str]


@pytest.fixture
def events_of(
    django_capture_on_commit_callbacks: Any,
) -> Callable[[Callable[[], Any]], list[Event]]:
    """Return the (action, actor, target) of each event that a function records."""

    def events_of(function: Callable[[], Any]) -> list[Event]:
        with capture_changes() as logs, django_capture_on_commit_callbacks(execute=True):
            function()
        changes = [entry for entry in logs if entry["event"] == "change"]
        return [(entry["action"], entry["actor"], entry["target"]) for entry in changes]

    return events_of


def target_of(row: Project | Cycle | Session | SessionFile) -> str:
    return f"{row._meta.label} {row.pk}"


def test_the_life_of_a_session_is_recorded_with_its_actors(
    events_of: Any, cycle: Cycle, owner: User, colleague: User
) -> None:
    created = events_of(
        lambda: services.create_session(
            by=owner, project=cycle.project, cycle=cycle, local_directory="day-1"
        )
    )
    session = Session.objects.get()
    target = target_of(session)
    assert created == [("session.created", str(owner.pk), target)]
    for service, action in (
        (services.start_session, "started"),
        (services.cancel_session, "cancelled"),
        (services.retry_session, "retried"),
    ):
        recorded = events_of(lambda service=service: service(session, by=colleague))
        assert recorded == [(f"session.{action}", str(colleague.pk), target)]
    services.cancel_session(session, by=owner)
    deleted = events_of(lambda: services.delete_session(session, by=owner))
    assert deleted == [("session.deleted", str(owner.pk), target)]


def test_a_report_is_recorded_for_the_worker_account(
    events_of: Any, worker_client: APIClient, worker_account: User, session: Session
) -> None:
    report = {"status": "in_progress", "files_uploaded": 1}
    recorded = events_of(lambda: worker_client.put(f"/api/v1/sessions/{session.pk}", report))
    assert recorded == [("session.reported", str(worker_account.pk), target_of(session))]


def test_project_and_cycle_changes_by_the_api_are_recorded(
    events_of: Any, client: APIClient, owner: User
) -> None:
    actor = str(owner.pk)
    body = {"name": "Rivers", "bucket_name": "river-data"}
    created = events_of(lambda: client.post("/api/v1/projects", body))
    project = Project.objects.get()
    url = f"/api/v1/projects/{project.pk}"
    assert created == [("project.created", actor, target_of(project))]
    assert events_of(lambda: client.patch(url, {"name": "Ice"})) == [
        ("project.updated", actor, target_of(project))
    ]
    body = {"project_id": str(project.pk), "name": "Spring", "number": 1}
    created = events_of(lambda: client.post("/api/v1/cycles", body))
    assert created == [("cycle.created", actor, target_of(Cycle.objects.get()))]
    deleted = events_of(lambda: client.delete(url))
    assert deleted == [("project.deleted", actor, target_of(project))]


def test_project_changes_in_the_admin_are_recorded(events_of: Any, admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    staff, actor = Client(), str(admin.pk)
    staff.force_login(admin)
    form = {"name": "Rivers", "bucket_name": "river-data", "is_active": "on"}
    created = events_of(lambda: staff.post("/admin/uploads/project/add/", form))
    project = Project.objects.get()
    url = f"/admin/uploads/project/{project.pk}"
    assert created == [("project.created", actor, target_of(project))]
    updated = events_of(lambda: staff.post(f"{url}/change/", form | {"name": "Ice"}))
    assert updated == [("project.updated", actor, target_of(project))]
    deleted = events_of(lambda: staff.post(f"{url}/delete/", {"post": "yes"}))
    assert deleted == [("project.deleted", actor, target_of(project))]
    assert not Project.objects.exists()


def test_a_presigned_url_and_its_file_are_recorded_for_the_user_who_asked_for_it(
    events_of: Any,
    client: APIClient,
    api: APIClient,
    owner: User,
    session: Session,
    settings: Any,
    tmp_path: Any,
) -> None:
    uploads = settings.STORAGES["uploads"] | {"OPTIONS": {"root": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"uploads": uploads}
    urls = []

    def presign() -> None:
        body = {"session_id": str(session.pk), "file_key": "a.csv"}
        urls.append(client.post("/api/v1/uploads/presigned-url", body).json()["url"])

    assert events_of(presign) == [("session.presigned", str(owner.pk), target_of(session))]
    received = events_of(lambda: api.put(urls[0], data=b"1", content_type="text/csv"))
    file = SessionFile.objects.get()
    assert received == [("file.received", str(owner.pk), target_of(file))]


def test_a_change_without_effect_records_nothing(
    events_of: Any, session: Session, owner: User
) -> None:
    assert events_of(lambda: services.update_session(session, by=owner, max_workers=10)) == []
    assert events_of(lambda: services.update_cycle(session.cycle, by=owner, number=1)) == []


def test_a_refused_change_records_nothing(events_of: Any, session: Session, owner: User) -> None:
    Session.objects.update(status="completed")
    session.refresh_from_db()

    def start() -> None:
        with pytest.raises(Conflict):
            services.start_session(session, by=owner)

    assert events_of(start) == []
