import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from common.dashboard import DAYS, last_days
from common.jobs.models import JobStatus
from notes.models import Outcome, ProviderCall, Summary
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db


LINES = {"Median", "95th percentile"}


def page(user: User) -> str:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client()
    client.force_login(user)
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def plots(html: str) -> dict[str, list[float | None]]:
    """The curves in the page by their names."""
    values = re.findall(r'class="chart"[^>]* data-value="([^"]*)"', html)
    data = [json.loads(unescape(value)) for value in values]
    assert {len(plot["labels"]) for plot in data} <= {DAYS, 24}
    curves = [curve for plot in data for curve in plot["datasets"]]
    # Of lines, Chart.js would draw the sum.
    assert {c["label"] for c in curves if "stack" not in c} == (LINES if curves else set())
    return {curve["label"]: curve["data"] for curve in curves}


@pytest.fixture
def history(owner: User, outsider: User) -> None:
    """Yesterday of two companies, and what stands in the queue."""
    yesterday = timezone.now() - timedelta(days=1)
    for user, times in ((owner, (100, 200, 300)), (outsider, (7_000,))):
        who = {"company": user.company, "user": user}
        for ms in times:
            how = {"model": "m", "cached": False, "duration_ms": ms, "ended_at": yesterday}
            Outcome.objects.create(**who, **how, failed=False)
        Outcome.objects.create(**who, **{**how, "failed": True})
        ProviderCall.objects.create(
            **who,
            model="m",
            outcome="ok",
            attempt=1,
            started_at=yesterday,
            prompt_tokens=times[0],
            completion_tokens=5,
            cost_usd="0.25",
        )
        TextSummaryFactory(user=user)
        NoteFactory(user=user)


@pytest.mark.usefixtures("history")
class TestFirstPage:
    def test_shows_all_to_a_superuser(self, superuser: User) -> None:
        found = plots(page(superuser))
        assert found["Completed"][-2:] == [4, 0]
        assert found["Failed"][-2:] == [2, 0]
        assert found["Median"][-2:] == [250, None]
        assert found["Prompt"][-2:] == [7_100, 0]
        assert found["Completion"][-2:] == [10, 0]
        assert found["USD"][-2:] == [0.5, 0]
        assert found["Notes"][-2:] == [0, 2]

    def test_shows_staff_their_own_company(self, admin: User) -> None:
        html = page(admin)
        found = plots(html)
        assert found["Completed"][-2:] == [3, 0]
        assert found["Median"][-2:] == [200, None]
        assert found["95th percentile"][-2:] == [290, None]
        assert found["Prompt"][-2:] == [100, 0]
        assert found["Notes"][-2:] == [0, 1]
        assert "0.25 USD" in html
        assert "and 0 in progress" in html

    def test_shows_how_the_queue_grew(self, admin: User, owner: User) -> None:
        """Two came two hours ago, of which one was begun an hour ago; and two waited for longer."""
        now = timezone.now()
        for hours, begun in ((2, None), (2, 1), (50, None)):
            summary = TextSummaryFactory(user=owner, started_at=begun and now - timedelta(hours=1))
            created = now - timedelta(hours=hours)
            Summary.objects.filter(pk=summary.pk).update(created_at=created)
        cancelled = TextSummaryFactory(user=owner, status=JobStatus.CANCELLED)
        assert cancelled.started_at is None
        # The fixture's two came in this hour.
        found = plots(page(admin))["Waiting at the end of the hour"]
        assert found[-4:] == [1, 3, 2, 4]

    def test_shows_nothing_to_who_may_see_nothing(self, owner: User) -> None:
        assert plots(page(owner)) == {}

    def test_loads_nothing_from_elsewhere(self, admin: User) -> None:
        sources = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', page(admin))
        assert sources
        assert all(source.startswith("/") for source in sources)

    def test_takes_as_many_queries_for_thirty_days_as_for_one(
        self, admin: User, queries: Any
    ) -> None:
        few = queries(lambda: page(admin))
        for day in last_days():
            Outcome.objects.create(
                company=admin.company,
                user=admin,
                model="m",
                cached=False,
                failed=False,
                duration_ms=1,
                ended_at=f"{day}T12:00Z",
            )
        assert queries(lambda: page(admin)) == few
