"""The events that the services record, each with its actor and target."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from common.api.exceptions import Conflict
from common.tests.support.events import RecordedEvents
from uploads import services
from uploads.models import Cycle, Project, Session, SessionFile

pytestmark = pytest.mark.django_db


def target_of(row: Project | Cycle | Session | SessionFile) -> str:
    return str(row.pk)


def test_the_life_of_a_session_is_recorded_with_its_actors(
    recorded_events: RecordedEvents, cycle: Cycle, owner: User, colleague: User
) -> None:
    created = recorded_events(
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
        recorded = recorded_events(lambda service=service: service(session, by=colleague))
        assert recorded == [(f"session.{action}", str(colleague.pk), target)]
    services.cancel_session(session, by=owner)
    deleted = recorded_events(lambda: services.delete_session(session, by=owner))
    assert deleted == [("session.deleted", str(owner.pk), target)]


def test_a_report_is_recorded_for_the_worker_account(
    recorded_events: RecordedEvents,
    worker_client: APIClient,
    worker_account: User,
    session: Session,
) -> None:
    report = {"status": "in_progress", "files_uploaded": 1}
    recorded = recorded_events(lambda: worker_client.put(f"/api/v1/sessions/{session.pk}", report))
    assert recorded == [("session.reported", str(worker_account.pk), target_of(session))]


def test_project_and_cycle_changes_by_the_api_are_recorded(
    recorded_events: RecordedEvents, client: APIClient, owner: User
) -> None:
    actor = str(owner.pk)
    body = {"name": "Rivers", "bucket_name": "river-data"}
    created = recorded_events(lambda: client.post("/api/v1/projects", body))
    project = Project.objects.get()
    url = f"/api/v1/projects/{project.pk}"
    assert created == [("project.created", actor, target_of(project))]
    assert recorded_events(lambda: client.patch(url, {"name": "Ice"})) == [
        ("project.updated", actor, target_of(project))
    ]
    body = {"project_id": str(project.pk), "name": "Spring", "number": 1}
    created = recorded_events(lambda: client.post("/api/v1/cycles", body))
    cycle = target_of(Cycle.objects.get())
    assert created == [("cycle.created", actor, cycle)]
    deleted = recorded_events(lambda: client.delete(url))
    assert deleted == [
        ("cycle.deleted", actor, cycle),
        ("project.deleted", actor, target_of(project)),
    ]


def test_project_changes_in_the_admin_are_recorded(
    recorded_events: RecordedEvents, admin: User
) -> None:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    staff, actor = Client(), str(admin.pk)
    staff.force_login(admin)
    form = {"name": "Rivers", "bucket_name": "river-data", "is_active": "on"}
    created = recorded_events(lambda: staff.post("/admin/uploads/project/add/", form))
    project = Project.objects.get()
    url = f"/admin/uploads/project/{project.pk}"
    assert created == [("project.created", actor, target_of(project))]
    updated = recorded_events(lambda: staff.post(f"{url}/change/", form | {"name": "Ice"}))
    assert updated == [("project.updated", actor, target_of(project))]
    deleted = recorded_events(lambda: staff.post(f"{url}/delete/", {"post": "yes"}))
    assert deleted == [("project.deleted", actor, target_of(project))]
    assert not Project.objects.exists()


def test_a_presigned_url_and_its_file_are_recorded_for_the_user_who_asked_for_it(
    recorded_events: RecordedEvents,
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

    assert recorded_events(presign) == [("session.presigned", str(owner.pk), target_of(session))]
    received = recorded_events(lambda: api.put(urls[0], data=b"1", content_type="text/csv"))
    file = SessionFile.objects.get()
    assert received == [("file.received", str(owner.pk), target_of(file))]


def test_a_change_without_effect_records_nothing(
    recorded_events: RecordedEvents, session: Session, owner: User
) -> None:
    assert recorded_events(lambda: services.update_session(session, by=owner, max_workers=10)) == []
    assert recorded_events(lambda: services.update_cycle(session.cycle, by=owner, number=1)) == []


def test_a_refused_change_records_nothing(
    recorded_events: RecordedEvents, session: Session, owner: User
) -> None:
    Session.objects.update(status="completed")
    session.refresh_from_db()

    def start() -> None:
        with pytest.raises(Conflict):
            services.start_session(session, by=owner)

    assert recorded_events(start) == []


def test_the_end_by_a_worker_is_recorded_once(
    recorded_events: RecordedEvents, session: Session
) -> None:
    Session.objects.update(status="queued")
    run = Session.objects.claim(session.pk)
    assert recorded_events(lambda: run.finish(status="partial")) == [
        ("session.partial", "system", target_of(session))
    ]
    assert recorded_events(lambda: run.finish(status="completed")) == []


def test_a_reported_end_is_recorded_as_an_end(
    recorded_events: RecordedEvents, session: Session, owner: User
) -> None:
    recorded = recorded_events(
        lambda: services.report_session(session, by=owner, status="completed", files_uploaded=1)
    )
    actions = ["session.reported", "session.completed"]
    assert recorded == [(action, str(owner.pk), target_of(session)) for action in actions]
