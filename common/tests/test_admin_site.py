"""The admin's sidebar and first page."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Company, User
from common.admin_site import navigation
from common.jobs import Job
from notes.models import Summary
from notes.tests.factories import NoteFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def staff(admin: User) -> Client:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin)
    return client


def fail(job: Summary, error: str) -> None:
    Summary.objects.filter(pk=job.pk).update(
        status=Job.Status.FAILED, error=error, finished_at=timezone.now()
    )


def work(client: Client) -> dict[str, dict[str, int]]:
    return {card["title"]: card["counts"] for card in client.get("/admin/").context["work"]}


def test_everything_in_the_sidebar_has_a_symbol_of_its_own(rf: Any, superuser: User) -> None:
    request = rf.get("/admin/")
    request.user = superuser
    items = [item for group in navigation(request) for item in group["items"]]
    assert {"Users", "Notes", "Products", "Sessions", "ReDoc"} <= {i["title"] for i in items}
    assert [item["title"] for item in items if item["icon"] == "table_rows"] == []


def test_the_first_page_counts_and_names_what_failed(operator: Client) -> None:
    notes = NoteFactory.create_batch(3)
    fail(notes[0].own_summary, "The provider said no.")
    assert work(operator)["Summaries"] == {"waiting": 2, "running": 0, "completed": 0, "failed": 1}
    page = operator.get("/admin/").content.decode()
    assert "The provider said no." in page


def test_staff_see_the_work_of_their_company(staff: Client, company: Company, owner: User) -> None:
    NoteFactory(user=owner)
    fail(NoteFactory().own_summary, "None of their business.")
    assert work(staff)["Summaries"] == {"waiting": 1, "running": 0, "completed": 0, "failed": 0}
    assert "None of their business." not in staff.get("/admin/").content.decode()


def test_it_costs_the_same_with_many_jobs(operator: Client, queries: Any) -> None:
    NoteFactory()
    few = queries(lambda: operator.get("/admin/"))
    NoteFactory.create_batch(30)
    assert queries(lambda: operator.get("/admin/")) == few
