import json
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from common.dashboard import CHART_DAYS, last_days
from common.jobs.status import JobStatus
from notes.models import ProviderCall, Summary, SummaryOutcome
from notes.tests.factories import NoteFactory, TextSummaryFactory

pytestmark = pytest.mark.django_db


LINE_CURVES = {"Median", "95th percentile"}


def get_page(user: User) -> str:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client()
    client.force_login(user)
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def parse_curves(html: str) -> dict[str, list[float | None]]:
    """Return the values of each curve of the page by the curve's name."""
    values = re.findall(r'class="chart"[^>]* data-value="([^"]*)"', html)
    data = [json.loads(unescape(value)) for value in values]
    assert {len(plot["labels"]) for plot in data} <= {CHART_DAYS, 24}
    curves = [curve for plot in data for curve in plot["datasets"]]
    # Curves without `stack` are lines; Chart.js would draw stacked lines as sums.
    assert {c["label"] for c in curves if "stack" not in c} == (LINE_CURVES if curves else set())
    return {curve["label"]: curve["data"] for curve in curves}


@pytest.fixture
def _history(owner: User, outsider: User) -> None:
    """Create outcomes and calls of yesterday, and queued summaries, for two companies."""
    yesterday = timezone.now() - timedelta(days=1)
    for user, times in ((owner, (100, 200, 300)), (outsider, (7_000,))):
        owner_fields = {"company": user.company, "user": user}
        for ms in times:
            outcome_fields = {
                "model": "m",
                "cached": False,
                "duration_ms": ms,
                "ended_at": yesterday,
            }
            SummaryOutcome.objects.create(**owner_fields, **outcome_fields, failed=False)
        SummaryOutcome.objects.create(**owner_fields, **{**outcome_fields, "failed": True})
        ProviderCall.objects.create(
            **owner_fields,
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


@pytest.mark.usefixtures("_history")
class TestFirstPage:
    def test_a_superuser_sees_all_companies(self, superuser: User) -> None:
        curves = parse_curves(get_page(superuser))
        assert curves["Completed"][-2:] == [4, 0]
        assert curves["Failed"][-2:] == [2, 0]
        assert curves["Median"][-2:] == [250, None]
        assert curves["Prompt"][-2:] == [7_100, 0]
        assert curves["Completion"][-2:] == [10, 0]
        assert curves["USD"][-2:] == [0.5, 0]
        assert curves["Notes"][-2:] == [0, 2]

    def test_staff_see_their_own_company(self, admin: User) -> None:
        html = get_page(admin)
        curves = parse_curves(html)
        assert curves["Completed"][-2:] == [3, 0]
        assert curves["Median"][-2:] == [200, None]
        assert curves["95th percentile"][-2:] == [290, None]
        assert curves["Prompt"][-2:] == [100, 0]
        assert curves["Notes"][-2:] == [0, 1]
        assert "0.25 USD" in html
        assert "and 0 in progress" in html

    def test_shows_the_length_of_the_queue_per_hour(self, admin: User, owner: User) -> None:
        """Two were created two hours ago and one of them started an hour later; one is older."""
        now = timezone.now()
        for hours, is_started in ((2, False), (2, True), (50, False)):
            summary = TextSummaryFactory(
                user=owner, started_at=now - timedelta(hours=1) if is_started else None
            )
            created = now - timedelta(hours=hours)
            Summary.objects.filter(pk=summary.pk).update(created_at=created)
        cancelled = TextSummaryFactory(user=owner, status=JobStatus.CANCELLED)
        assert cancelled.started_at is None
        # The fixture created its two in this hour.
        curves = parse_curves(get_page(admin))["Waiting at the end of the hour"]
        assert curves[-4:] == [1, 3, 2, 4]

    def test_staff_without_permissions_see_no_section(self, owner: User) -> None:
        assert parse_curves(get_page(owner)) == {}

    def test_loads_no_file_from_another_host(self, admin: User) -> None:
        sources = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', get_page(admin))
        assert sources
        assert all(source.startswith("/") for source in sources)

    def test_the_number_of_queries_does_not_depend_on_the_number_of_days(
        self, admin: User, count_queries: Any
    ) -> None:
        few = count_queries(lambda: get_page(admin))
        for day in last_days():
            SummaryOutcome.objects.create(
                company=admin.company,
                user=admin,
                model="m",
                cached=False,
                failed=False,
                duration_ms=1,
                ended_at=f"{day}T12:00Z",
            )
        assert count_queries(lambda: get_page(admin)) == few
