from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from common.jobs.status import JobStatus
from notes import services
from notes.models import Batch, Note, ProviderCall, Summary, SummaryTemplate
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db
LISTS = ["note", "summary", "batch", "providercall", "summarytemplate"]


def log_in_as_staff(user: User) -> Client:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client()
    client.force_login(user)
    return client


def run_action(client: Client, model: str, action: str, *rows: Any) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(f"/admin/notes/{model}/", data, follow=True)


@pytest.fixture
def rows(owner: User, outsider: User) -> dict[str, list[Any]]:
    """Create two rows of each model: one of the owner's company, one of another."""
    rows_by_model: dict[str, list[Any]] = {name: [] for name in LISTS}
    for user in (owner, outsider):
        name = user.username
        rows_by_model["note"].append(NoteFactory(user=user, title=f"Note of {name}"))
        rows_by_model["summary"].append(TextSummaryFactory(user=user, summary=f"Summary of {name}"))
        options = services.SummaryOptions()
        rows_by_model["batch"].append(services.create_batch(by=user, texts=["a"], options=options))
        rows_by_model["providercall"].append(
            ProviderCall.objects.create(company=user.company, user=user, model="m", attempt=1)
        )
        rows_by_model["summarytemplate"].append(
            SummaryTemplate.objects.create(company=user.company, name=f"For {name}")
        )
    return rows_by_model


@pytest.mark.parametrize("model", LISTS)
def test_staff_see_their_own_company(rows: Any, admin: User, model: str) -> None:
    client = log_in_as_staff(admin)
    ours, theirs = rows[model]
    page = client.get(f"/admin/notes/{model}/").content.decode()
    assert str(ours.pk) in page
    assert str(theirs.pk) not in page
    assert client.get(f"/admin/notes/{model}/{ours.pk}/change/").status_code == 200
    assert client.get(f"/admin/notes/{model}/{theirs.pk}/change/").status_code == 302


@pytest.mark.parametrize("model", LISTS)
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    rows: Any, superuser: User, model: str, count_queries: Any, owner: User
) -> None:
    client = log_in_as_staff(superuser)
    expected_queries = count_queries(lambda: client.get(f"/admin/notes/{model}/"))
    for number in range(5):
        NoteFactory(user=owner)
        TextSummaryFactory(user=owner)
        services.create_batch(by=owner, texts=["a"], options=services.SummaryOptions())
        ProviderCall.objects.create(company=owner.company, user=owner, model="m", attempt=1)
        SummaryTemplate.objects.create(company=owner.company, name=f"T{number}")
    assert count_queries(lambda: client.get(f"/admin/notes/{model}/")) == expected_queries


@pytest.mark.parametrize("model", ["providercall", "batch", "summary"])
def test_rows_written_by_the_system_are_read_only(rows: Any, superuser: User, model: str) -> None:
    client, row = log_in_as_staff(superuser), rows[model][0]
    assert client.get(f"/admin/notes/{model}/add/").status_code == 403
    assert client.post(f"/admin/notes/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


def test_a_notes_new_text_is_summarised_again(rows: Any, admin: User, run: Any) -> None:
    note: Note = rows["note"][0]
    run(note.own_summary.pk)
    form = {"title": "New", "raw_text": "Another text altogether.", "own_summary-TOTAL_FORMS": 0}
    form |= {"own_summary-INITIAL_FORMS": 0}
    response = log_in_as_staff(admin).post(f"/admin/notes/note/{note.pk}/change/", form)
    assert response.status_code == 302
    note = Note.objects.select_related("own_summary").get(pk=note.pk)
    assert (note.title, note.raw_text) == ("New", "Another text altogether.")
    assert (note.own_summary.status, note.own_summary.text_length) == (JobStatus.QUEUED, 24)


def test_actions_requeue_and_cancel_summaries(rows: Any, admin: User, run: Any) -> None:
    client, summary = log_in_as_staff(admin), rows["summary"][0]
    run(summary.pk)
    run_action(client, "summary", "summarize_again", summary)
    summary = Summary.objects.get(pk=summary.pk)
    assert (summary.status, summary.bypass_cache) == (JobStatus.QUEUED, True)
    run_action(client, "summary", "cancel", summary)
    assert Summary.objects.get(pk=summary.pk).status == JobStatus.CANCELLED
    run_action(client, "note", "summarize_again", rows["note"][0])
    assert Summary.objects.get(own_note=rows["note"][0]).bypass_cache is True


def test_a_new_template_belongs_to_the_company_of_its_author(admin: User) -> None:
    form = {"name": "R\u0130SKS", "description": "", "instructions": "Only risks."}
    client = log_in_as_staff(admin)
    assert client.post("/admin/notes/summarytemplate/add/", form).status_code == 302
    assert SummaryTemplate.objects.get().company == admin.company
    duplicate = client.post("/admin/notes/summarytemplate/add/", form | {"name": "r\u0130sks"})
    assert duplicate.status_code == 200
    assert SummaryTemplate.objects.count() == 1
    assert Batch.objects.count() == 0
