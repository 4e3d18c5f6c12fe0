from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.events import record
from common.events.models import Event
from integrations.audit import retention
from integrations.audit.heads import write_heads
from integrations.audit.models import AuditChain, AuditLink
from integrations.audit.retention import delete_old_events
from integrations.audit.verification import find_problems
from integrations.tests.audit_support import chain_all, execute

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company)


@pytest.fixture(autouse=True)
def heads_folder(tmp_path: Path, settings: Any) -> Path:
    settings.AUDIT_HEADS_DIR = tmp_path
    return tmp_path


@pytest.fixture(autouse=True)
def events(heads_folder: Path, admin: User, outsider: User, product: Product) -> None:
    """Of each of two companies, and of no company: five old events and one of today."""
    foreign_product = ProductFactory(company=outsider.company)
    for number in range(6):
        record("product.updated", by=admin, target=product, changes={"stock": (number, 1)})
        record("product.updated", by=outsider, target=foreign_product)
        record("access.denied", by=None, target=None)
    execute(
        "UPDATE common_event SET occurred_at = occurred_at - interval '100 days' "
        "WHERE sequence <= (SELECT max(sequence) FROM common_event) - 3"
    )
    chain_all()
    write_heads()


def count_by_company(*users: User | None) -> list[int]:
    """Count the events, without those that tell of the deletion."""
    events = Event.objects.exclude(action="audit.trimmed")
    return [events.filter(company_id=user and user.company_id).count() for user in users]


@pytest.mark.parametrize(
    ("days", "by_company", "left"),
    [
        (None, {}, [6, 6, 6]),
        (90, {}, [1, 1, 1]),
        (101, {}, [6, 6, 6]),
        (None, {"acme": 90}, [1, 6, 6]),
        (90, {"acme": None}, [6, 1, 1]),
        (101, {"rival": 30}, [6, 1, 6]),
    ],
)
def test_old_events_are_deleted_by_company(
    settings: Any,
    admin: User,
    outsider: User,
    heads_folder: Path,
    days: int | None,
    by_company: Any,
    left: list[int],
) -> None:
    settings.EVENT_RETENTION_DAYS = days
    settings.EVENT_RETENTION_DAYS_BY_COMPANY = by_company
    assert delete_old_events() == 18 - sum(left)
    assert count_by_company(admin, outsider, None) == left
    assert list(find_problems(heads_folder)) == []


def test_the_chain_goes_on_after_batches_were_deleted(
    settings: Any,
    admin: User,
    product: Product,
    heads_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.EVENT_RETENTION_DAYS_BY_COMPANY = {"acme": 90}
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    assert delete_old_events() == 5
    assert delete_old_events() == 0
    (*_, trimmed) = Event.objects.filter(action="audit.trimmed").order_by("sequence")
    assert (trimmed.company_id, trimmed.actor_values["events"]) == (admin.company_id, "1")
    record("product.updated", by=admin, target=product)
    chain_all()
    links = AuditLink.objects.filter(chain_id=admin.company_id).order_by("position")
    assert [link.position for link in links] == [6, 7, 8, 9, 10]
    assert list(find_problems(heads_folder)) == []


def test_a_chain_of_which_nothing_is_left_goes_on(
    settings: Any, admin: User, product: Product, heads_folder: Path
) -> None:
    execute("UPDATE common_event SET occurred_at = occurred_at - interval '100 days'")
    AuditLink.objects.all().delete()
    AuditChain.objects.all().delete()
    next(heads_folder.iterdir()).unlink()
    chain_all()
    settings.EVENT_RETENTION_DAYS = 90
    assert delete_old_events() == 18
    record("product.updated", by=admin, target=product)
    assert chain_all() == 4
    assert list(find_problems(heads_folder)) == []


def test_an_event_that_was_changed_is_kept_as_evidence(
    settings: Any, admin: User, outsider: User, heads_folder: Path
) -> None:
    settings.EVENT_RETENTION_DAYS = 90
    execute(
        "UPDATE common_event SET outcome = 'failed' WHERE changes @> '{\"stock\": {\"old\": 2}}'"
    )
    delete_old_events()
    assert count_by_company(admin, outsider, None) == [4, 1, 1]
    (problem,) = find_problems(heads_folder)
    assert problem.startswith("Company acme: number 3 was changed")


def test_a_cursor_that_was_deleted_is_said(settings: Any, as_user: Any, admin: User) -> None:
    client: APIClient = as_user(admin)
    since = Event.objects.filter(company_id=admin.company_id).order_by("sequence")[0].id
    assert client.get("/api/v1/events", {"since": str(since)}).status_code == 200
    settings.EVENT_RETENTION_DAYS = 90
    delete_old_events()
    response = client.get("/api/v1/events", {"since": str(since)})
    assert (response.status_code, response.json()["code"]) == (410, "history_gone")
