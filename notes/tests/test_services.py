"""Each service records one event with its actor, its target and no text."""

from io import BytesIO
from typing import Any

import pytest

from accounts.models import User
from common.api.exceptions import Conflict
from common.events.models import Event
from common.jobs.status import JobStatus
from common.tests.support.events import RecordedEvents
from notes import services
from notes.models import Batch, Note, Summary, SummaryTemplate
from notes.summary_options import SummaryOptions
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db
SECRET_TEXT = "The merger with Rival is planned for May."


def event(action: str, *, by: User, target: Any) -> tuple[str, str, str]:
    return (action, str(by.pk), str(target))


def test_note_services_record_events(
    owner: User, admin: User, recorded_events: RecordedEvents
) -> None:
    created = recorded_events(lambda: services.create_note(by=owner, raw_text=SECRET_TEXT))
    note = Note.objects.get()
    target = note.pk
    updated = recorded_events(lambda: services.update_note(note, by=admin, title=SECRET_TEXT))
    further = TextSummaryFactory(user=owner, note=note)
    deleted = recorded_events(lambda: services.delete_note(note, by=admin))
    assert created == [event("note.created", by=owner, target=target)]
    assert updated == [event("note.updated", by=admin, target=target)]
    assert deleted == [
        event("summary.deleted", by=admin, target=further.pk),
        event("note.deleted", by=admin, target=target),
    ]
    changes = Event.objects.get(action="note.updated").changes
    assert changes == {"title": {"old": "", "new": SECRET_TEXT}}


def test_a_changed_text_is_recorded_without_the_text(owner: User) -> None:
    note = NoteFactory(user=owner, raw_text="Old text.")
    services.update_note(note, by=owner, raw_text=SECRET_TEXT)
    event = Event.objects.get(action="note.updated")
    assert event.changes == {"raw_text": {"old": None, "new": None}}


def test_the_end_of_a_run_is_recorded_only_if_the_run_still_holds_the_job(
    owner: User, recorded_events: RecordedEvents
) -> None:
    summary = TextSummaryFactory(user=owner)
    late = Summary.objects.claim(summary.pk)
    Summary.objects.filter(pk=summary.pk).update(status=JobStatus.QUEUED, run_id=None)
    run = Summary.objects.claim(summary.pk)
    assert recorded_events(lambda: late.fail("Too late.")) == []
    assert recorded_events(lambda: run.fail("No text.")) == [
        ("summary.failed", "system", str(summary.pk))
    ]


@pytest.mark.parametrize("changes", [{}, {"title": "Pump"}, {"raw_text": SECRET_TEXT}], ids=str)
def test_an_update_without_a_change_records_no_event(
    owner: User, recorded_events: RecordedEvents, changes: dict[str, str]
) -> None:
    note = NoteFactory(user=owner, title="Pump", raw_text=SECRET_TEXT)
    assert recorded_events(lambda: services.update_note(note, by=owner, **changes)) == []


def test_summary_services_record_events(
    owner: User, admin: User, recorded_events: RecordedEvents
) -> None:
    options = SummaryOptions()
    created = recorded_events(
        lambda: services.create_summary_from_text(by=owner, text=SECRET_TEXT, options=options)
    )
    summary = Summary.objects.get()
    target = summary.pk
    requeued = recorded_events(lambda: services.requeue_summary(summary, by=admin))
    cancelled = recorded_events(lambda: services.cancel_summary(summary, by=admin))
    cancelled_again = recorded_events(lambda: services.cancel_summary(summary, by=admin))
    deleted = recorded_events(lambda: services.delete_summary(summary, by=owner))
    assert created == [event("summary.created", by=owner, target=target)]
    assert requeued == [event("summary.requeued", by=admin, target=target)]
    assert cancelled == [event("summary.cancelled", by=admin, target=target)]
    assert cancelled_again == []
    assert deleted == [event("summary.deleted", by=owner, target=target)]


def test_summaries_of_notes_and_files_record_events(
    owner: User, recorded_events: RecordedEvents
) -> None:
    note, options = NoteFactory(user=owner, raw_text=SECRET_TEXT), SummaryOptions()
    own = note.own_summary.pk
    from_note = recorded_events(
        lambda: services.create_summary_from_note(by=owner, note=note, options=options)
    )
    from_file = recorded_events(
        lambda: services.create_summary_from_file(
            by=owner,
            file=BytesIO(SECRET_TEXT.encode()),
            file_type="text",
            file_name="may.txt",
            options=options,
        )
    )
    targets = [s.pk for s in Summary.objects.exclude(pk=own).order_by("pk")]
    assert [*from_note, *from_file] == [
        event("summary.created", by=owner, target=target) for target in targets
    ]


def test_batch_services_record_events(
    owner: User, admin: User, recorded_events: RecordedEvents
) -> None:
    created = recorded_events(
        lambda: services.create_batch(by=owner, texts=[SECRET_TEXT] * 2, options=SummaryOptions())
    )
    batch = Batch.objects.get()
    target = batch.pk
    summaries = [row.pk for row in batch.summaries.order_by("pk")]
    Summary.objects.update(status=JobStatus.FAILED)
    retried = recorded_events(lambda: services.retry_batch(batch, by=admin))
    cancelled = recorded_events(lambda: services.cancel_batch(batch, by=admin))
    for recorded, by, action, action_of_summaries in (
        (created, owner, "created", "created"),
        (retried, admin, "retried", "requeued"),
        (cancelled, admin, "cancelled", "cancelled"),
    ):
        assert sorted(recorded) == sorted(
            [
                event(f"batch.{action}", by=by, target=target),
                *(event(f"summary.{action_of_summaries}", by=by, target=pk) for pk in summaries),
            ]
        )


def test_a_refused_change_of_a_batch_records_no_event(
    owner: User, recorded_events: RecordedEvents
) -> None:
    batch = Batch.objects.create(company=owner.company, user=owner)
    TextSummaryFactory(user=owner, batch=batch, index=0, status=JobStatus.COMPLETED)

    def retry_and_cancel() -> None:
        for change in (services.retry_batch, services.cancel_batch):
            with pytest.raises(Conflict):
                change(batch, by=owner)

    assert recorded_events(retry_and_cancel) == []


def test_template_services_record_events(admin: User, recorded_events: RecordedEvents) -> None:
    created = recorded_events(
        lambda: services.create_template(by=admin, name="Risks", instructions=SECRET_TEXT)
    )
    template = SummaryTemplate.objects.get()
    target = template.pk
    updated = recorded_events(lambda: services.update_template(template, by=admin, name="Dangers"))
    deleted = recorded_events(lambda: services.delete_template(template, by=admin))
    assert created == [event("template.created", by=admin, target=target)]
    assert updated == [event("template.updated", by=admin, target=target)]
    assert deleted == [event("template.deleted", by=admin, target=target)]


def test_requests_record_the_person_who_sent_them(
    as_user: Any, owner: User, admin: User, recorded_events: RecordedEvents
) -> None:
    by_owner, by_admin = as_user(owner), as_user(admin)
    body = {"raw_text": SECRET_TEXT}
    template = {"name": "Risks", "instructions": SECRET_TEXT}
    created = recorded_events(lambda: by_owner.post("/api/v1/notes", body))
    url = f"/api/v1/notes/{Note.objects.get().pk}"
    changed = recorded_events(lambda: by_admin.patch(url, {"title": "Pump"}))
    requeued = recorded_events(lambda: by_owner.post(f"{url}/summarize"))
    saved = recorded_events(lambda: by_admin.post("/api/v1/summary-templates", template))
    recorded = [*created, *changed, *requeued, *saved]
    assert [(action, actor) for action, actor, _ in recorded] == [
        ("note.created", str(owner.pk)),
        ("note.updated", str(admin.pk)),
        ("summary.requeued", str(owner.pk)),
        ("template.created", str(admin.pk)),
    ]
