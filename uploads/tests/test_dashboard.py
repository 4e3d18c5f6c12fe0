from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from common.dashboard import Chart, last_days
from uploads.dashboard import sections
from uploads.models import Session
from uploads.tests.factories import SessionFactory

pytestmark = pytest.mark.django_db


def end_yesterday(session: Session, **counters: int) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    Session.objects.filter(pk=session.pk).update(
        status="partial", finished_at=yesterday, **counters
    )


@pytest.fixture
def history(owner: User, outsider: User) -> None:
    for user, files in ((owner, 5), (outsider, 70)):
        session = SessionFactory(company=user.company, user=user)
        end_yesterday(
            session, files_uploaded=files, files_failed=1, bytes_uploaded=files * 1_000_000
        )


def values_yesterday(charts: list[Chart]) -> dict[str, Any]:
    return {
        series.title: series.values_at(last_days())[-2]
        for chart in charts
        for series in chart.series
    }


def test_a_superuser_sees_the_sessions_of_all_companies(superuser: User, history: None) -> None:
    (section,) = sections(superuser)
    assert values_yesterday(section.charts) == {
        "Files uploaded": 75,
        "Files failed": 2,
        "Megabytes": 75,
    }
    assert [stat.value for stat in section.stats] == ["2", "75", "75.0 MB"]


def test_staff_see_the_sessions_of_their_company(admin: User, history: None) -> None:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    admin.refresh_from_db()
    (section,) = sections(admin)
    assert values_yesterday(section.charts) == {
        "Files uploaded": 5,
        "Files failed": 1,
        "Megabytes": 5,
    }


def test_other_users_see_no_section(owner: User, history: None) -> None:
    assert sections(owner) == []


def test_the_query_count_does_not_depend_on_the_number_of_sessions(
    superuser: User, history: None, count_queries: Callable[[Callable[[], Any]], int]
) -> None:
    few = count_queries(lambda: sections(superuser))
    for _ in range(30):
        end_yesterday(SessionFactory())
    assert count_queries(lambda: sections(superuser)) == few
