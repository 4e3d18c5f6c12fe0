"""The table of events: what is recorded, in which order it is read, and that nothing changes it."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.events import record, record_all
from common.events.models import Event
from common.tests.support import wait_until_settled
from notes.models import Note
from notes.tests.factories import NoteFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def product(owner: User) -> Product:
    return ProductFactory(company=owner.company, name="Pump")


@pytest.fixture
def note(owner: User) -> Note:
    return NoteFactory(user=owner, company=owner.company, title="Monday")


class TestRecord:
    def test_writes_what_happened(self, product: Product, admin: User) -> None:
        changes = {"price": (Decimal("1.50"), Decimal("2.00"))}
        record("product.updated", by=admin, target=product, changes=changes)
        event = Event.objects.get(action="product.updated")
        assert (event.actor_type, event.actor_id) == ("user", admin.pk)
        assert (event.target_type, event.target_id) == ("product", str(product.pk))
        assert (event.company_id, event.target_label) == (product.company_id, "Pump")
        assert event.changes == {"price": {"old": "1.50", "new": "2.00"}}

    def test_is_undone_with_the_change(self, product: Product, admin: User) -> None:
        with transaction.atomic():
            record("product.updated", by=admin, target=product)
            transaction.set_rollback(True)
        assert not Event.objects.filter(action="product.updated").exists()

    def test_cuts_long_values_and_hides_texts(self, note: Note, owner: User) -> None:
        changes = {"title": ("Monday", "x" * 1_000), "raw_text": ("secret", "more secret")}
        record("note.updated", by=owner, target=note, changes=changes)
        event = Event.objects.get(action="note.updated")
        assert event.changes["title"]["new"] == "x" * 199 + "…"
        assert event.changes["raw_text"] == {"old": None, "new": None}

    def test_stores_what_postgresql_can_not(self, owner: User) -> None:
        record(
            "login.failed",
            by=None,
            target=None,
            company_id=owner.company_id,
            username="a\x00b\ud800",
        )
        event = Event.objects.get(action="login.failed")
        assert event.actor_values["username"] == "a\ufffdb\ufffd"

    def test_keeps_what_describes_a_person_apart(self, owner: User, admin: User) -> None:
        changes = {"email": ("old@example.com", "new@example.com")}
        record("user.updated", by=admin, target=owner, changes=changes)
        event = Event.objects.get(action="user.updated")
        assert (event.target_label, event.changes) == ("", {})
        assert event.person_id == owner.pk
        assert event.target_values["label"] == owner.email
        assert event.target_values["changes"]["email"]["new"] == "new@example.com"

    @pytest.mark.parametrize("action", ["product.exploded", "note.created"])
    def test_refuses_an_action_that_nobody_could_subscribe_to(
        self, action: str, product: Product, admin: User
    ) -> None:
        with pytest.raises(ValueError, match=action):
            record(action, by=admin, target=product)

    def test_many_rows_take_one_statement(
        self, owner: User, admin: User, count_queries: Callable[..., int]
    ) -> None:
        rows = [(row, {}) for row in ProductFactory.create_batch(30, company=owner.company)]
        count = count_queries(lambda: record_all("product.deleted", by=admin, targets=rows))
        assert count == 1
        assert Event.objects.filter(action="product.deleted").count() == 30


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET action = 'x'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_events_are_never_changed_or_deleted(statement: str, product: Product, admin: User) -> None:
    record("product.updated", by=admin, target=product)
    with (
        pytest.raises(DatabaseError, match="never changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(Event._meta.db_table))
    assert Event.objects.filter(action="product.updated").exists()


@pytest.mark.django_db(transaction=True)
class TestOrder:
    def test_an_event_that_commits_late_is_read_after_the_earlier_ones(
        self, product: Product, admin: User
    ) -> None:
        """By `sequence` alone a reader who saw the second event would never see the first."""
        first_is_written, may_commit = threading.Event(), threading.Event()

        def commit_late() -> None:
            with transaction.atomic():
                record("product.updated", by=None, target=product)
                first_is_written.set()
                assert may_commit.wait(10)
            connection.close()

        slow = threading.Thread(target=commit_late)
        slow.start()
        assert first_is_written.wait(10)
        record("product.deleted", by=admin, target=product)
        assert [event.action for event in Event.objects.order_by("sequence")] == ["product.deleted"]
        assert list(Event.objects.settled()) == []
        assert Event.objects.lag_seconds() > 0
        may_commit.set()
        slow.join()
        wait_until_settled()
        actions = [event.action for event in Event.objects.settled()]
        assert actions == ["product.updated", "product.deleted"]
        assert Event.objects.lag_seconds() == 0

    def test_restored_events_stay_before_new_ones(self, product: Product, admin: User) -> None:
        for action in ("product.updated", "product.deleted"):
            record(action, by=admin, target=product)
        wait_until_settled()
        before = [event.id for event in Event.objects.settled()]
        Event.objects.move_before_new_transactions()
        record("product.restored", by=admin, target=product)
        wait_until_settled()
        events = list(Event.objects.settled())
        assert [event.id for event in events[:-1]] == before
        assert events[-1].action == "product.restored"
        assert all(event.xid < 0 for event in events[:-1])


class TestVisibleTo:
    @pytest.fixture
    def events(self, product: Product, note: Note, owner: User) -> Any:
        record("product.updated", by=owner, target=product)
        record("note.updated", by=owner, target=note)
        record("user.updated", by=owner, target=owner)
        record("access.denied", by=owner, target=None, company_id=owner.company_id)
        return Event.objects.filter(company_id=owner.company_id)

    @pytest.mark.parametrize(
        ("person", "actions"),
        [
            ("owner", {"product.updated", "note.updated", "user.updated"}),
            ("colleague", {"product.updated"}),
            ("worker_account", {"product.updated"}),
            ("admin", {"product.updated", "note.updated", "user.updated", "access.denied"}),
            ("superuser", {"product.updated", "note.updated", "user.updated", "access.denied"}),
            ("outsider", set()),
        ],
    )
    def test_shows_what_a_user_may_read(
        self, events: Any, person: str, actions: set[str], request: pytest.FixtureRequest
    ) -> None:
        user = request.getfixturevalue(person)
        assert {event.action for event in events.visible_to(user)} == actions
