"""The admin's sidebar and first page."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Company, User
from common.admin_site import DEFAULT_MODEL_ICON, navigation
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


def set_failed(job: Summary, error: str) -> None:
    Summary.objects.filter(pk=job.pk).update(
        status=Job.Status.FAILED, error=error, finished_at=timezone.now()
    )


def job_counts(client: Client) -> dict[str, dict[str, int]]:
    """Return the counts on the first page by the kind of job."""
    return {card.title: card.counts for card in client.get("/admin/").context["job_cards"]}


def test_every_model_in_the_sidebar_has_its_own_icon(rf: Any, superuser: User) -> None:
    request = rf.get("/admin/")
    request.user = superuser
    items = [item for group in navigation(request) for item in group["items"]]
    assert {"Users", "Notes", "Products", "Sessions", "ReDoc"} <= {i["title"] for i in items}
    assert [item["title"] for item in items if item["icon"] == DEFAULT_MODEL_ICON] == []


def test_the_first_page_shows_job_counts_and_failures(operator: Client) -> None:
    notes = NoteFactory.create_batch(3)
    set_failed(notes[0].own_summary, "The provider refused.")
    assert job_counts(operator)["Summaries"] == {
        "queued": 2,
        "in progress": 0,
        "completed": 0,
        "failed": 1,
    }
    page = operator.get("/admin/").content.decode()
    assert "The provider refused." in page


def test_staff_see_only_the_jobs_of_their_company(
    staff: Client, company: Company, owner: User
) -> None:
    NoteFactory(user=owner)
    set_failed(NoteFactory().own_summary, "Failure of another company.")
    assert job_counts(staff)["Summaries"] == {
        "queued": 1,
        "in progress": 0,
        "completed": 0,
        "failed": 0,
    }
    assert "Failure of another company." not in staff.get("/admin/").content.decode()


def test_the_query_count_does_not_grow_with_the_jobs(operator: Client, count_queries: Any) -> None:
    NoteFactory()
    with_one = count_queries(lambda: operator.get("/admin/"))
    NoteFactory.create_batch(30)
    assert count_queries(lambda: operator.get("/admin/")) == with_one
