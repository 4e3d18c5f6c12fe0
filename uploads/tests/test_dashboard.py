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


def ended_yesterday(session: Session, **figures: int) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    Session.objects.filter(pk=session.pk).update(status="partial", finished_at=yesterday, **figures)


@pytest.fixture
def history(owner: User, outsider: User) -> None:
    for user, files in ((owner, 5), (outsider, 70)):
        session = SessionFactory(company=user.company, user=user)
        ended_yesterday(
            session, files_uploaded=files, files_failed=1, bytes_uploaded=files * 1_000_000
        )


def curves(plots: list[Chart]) -> dict[str, Any]:
    return {
        curve.title: curve.values_at(last_days())[-2] for plot in plots for curve in plot.series
    }


def test_a_superuser_sees_all(superuser: User, history: None) -> None:
    (section,) = sections(superuser)
    assert curves(section.charts) == {"Files uploaded": 75, "Files failed": 2, "Megabytes": 75}
    assert [figure.value for figure in section.stats] == ["2", "75", "75.0 MB"]


def test_staff_see_their_companys(admin: User, history: None) -> None:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    admin.refresh_from_db()
    (section,) = sections(admin)
    assert curves(section.charts) == {"Files uploaded": 5, "Files failed": 1, "Megabytes": 5}


def test_others_see_nothing(owner: User, history: None) -> None:
    assert sections(owner) == []


def test_query_count(
    superuser: User, history: None, queries: Callable[[Callable[[], Any]], int]
) -> None:
    few = queries(lambda: sections(superuser))
    for _ in range(30):
        ended_yesterday(SessionFactory())
    assert queries(lambda: sections(superuser)) == few
