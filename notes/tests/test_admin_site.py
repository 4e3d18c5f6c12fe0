from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from common.jobs.models import JobStatus
from notes import services
from notes.models import Batch, Note, ProviderCall, Summary, SummaryTemplate
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db
LISTS = ["note", "summary", "batch", "providercall", "summarytemplate"]


def client_of(user: User) -> Client:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(f"/admin/notes/{model}/", data, follow=True)


@pytest.fixture
def rows(owner: User, outsider: User) -> dict[str, list[Any]]:
    """Of each model one of the owner's company, and one of another."""
    found: dict[str, list[Any]] = {name: [] for name in LISTS}
    for user in (owner, outsider):
        name = user.username
        found["note"].append(NoteFactory(user=user, title=f"Note of {name}"))
        found["summary"].append(TextSummaryFactory(user=user, summary=f"Summary of {name}"))
        wishes = services.Wishes()
        found["batch"].append(services.summarize_batch(by=user, texts=["a"], wishes=wishes))
        found["providercall"].append(
            ProviderCall.objects.create(company=user.company, user=user, model="m", attempt=1)
        )
        found["summarytemplate"].append(
            SummaryTemplate.objects.create(company=user.company, name=f"For {name}")
        )
    return found


@pytest.mark.parametrize("model", LISTS)
def test_staff_see_their_own_company(rows: Any, admin: User, model: str) -> None:
    client = client_of(admin)
    ours, theirs = rows[model]
    page = client.get(f"/admin/notes/{model}/").content.decode()
    assert str(ours.pk) in page
    assert str(theirs.pk) not in page
    assert client.get(f"/admin/notes/{model}/{ours.pk}/change/").status_code == 200
    assert client.get(f"/admin/notes/{model}/{theirs.pk}/change/").status_code == 302


@pytest.mark.parametrize("model", LISTS)
def test_a_list_takes_as_many_queries_for_many_rows(
    rows: Any, superuser: User, model: str, queries: Any, owner: User
) -> None:
    client = client_of(superuser)
    few = queries(lambda: client.get(f"/admin/notes/{model}/"))
    for number in range(5):
        NoteFactory(user=owner)
        TextSummaryFactory(user=owner)
        services.summarize_batch(by=owner, texts=["a"], wishes=services.Wishes())
        ProviderCall.objects.create(company=owner.company, user=owner, model="m", attempt=1)
        SummaryTemplate.objects.create(company=owner.company, name=f"T{number}")
    assert queries(lambda: client.get(f"/admin/notes/{model}/")) == few


@pytest.mark.parametrize("model", ["providercall", "batch", "summary"])
def test_what_the_system_writes_is_only_read(rows: Any, superuser: User, model: str) -> None:
    client, row = client_of(superuser), rows[model][0]
    assert client.get(f"/admin/notes/{model}/add/").status_code == 403
    assert client.post(f"/admin/notes/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


def test_a_notes_new_text_is_summarised(rows: Any, admin: User, run: Any) -> None:
    note: Note = rows["note"][0]
    run(note.job.pk)
    form = {"title": "New", "raw_text": "Another text altogether.", "job-TOTAL_FORMS": 0}
    form |= {"job-INITIAL_FORMS": 0}
    answer = client_of(admin).post(f"/admin/notes/note/{note.pk}/change/", form)
    assert answer.status_code == 302
    note = Note.objects.select_related("job").get(pk=note.pk)
    assert (note.title, note.raw_text) == ("New", "Another text altogether.")
    assert (note.job.status, note.job.text_length) == (JobStatus.QUEUED, 24)


def test_summarise_again_and_cancel(rows: Any, admin: User, run: Any) -> None:
    client, summary = client_of(admin), rows["summary"][0]
    run(summary.pk)
    act(client, "summary", "summarize_again", summary)
    summary = Summary.objects.get(pk=summary.pk)
    assert (summary.status, summary.fresh) == (JobStatus.QUEUED, True)
    act(client, "summary", "cancel", summary)
    assert Summary.objects.get(pk=summary.pk).status == JobStatus.CANCELLED
    act(client, "note", "summarize_again", rows["note"][0])
    assert Summary.objects.get(job_of=rows["note"][0]).fresh is True


def test_a_template_is_made_for_ones_own_company(admin: User) -> None:
    form = {"name": "R\u0130SKS", "description": "", "instructions": "Only risks."}
    client = client_of(admin)
    assert client.post("/admin/notes/summarytemplate/add/", form).status_code == 302
    assert SummaryTemplate.objects.get().company == admin.company
    again = client.post("/admin/notes/summarytemplate/add/", form | {"name": "r\u0130sks"})
    assert again.status_code == 200
    assert SummaryTemplate.objects.count() == 1
    assert Batch.objects.count() == 0
