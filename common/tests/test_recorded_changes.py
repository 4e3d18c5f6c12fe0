"""What is recorded when people and programs change rows, fail to sign in, or are refused."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import PASSWORD
from catalog.tests.factories import ProductFactory
from common.events.models import Event
from common.jobs import runner
from notes.models import Summary
from notes.tests.factories import NoteFactory, TextSummaryFactory
from uploads.models import Session
from uploads.tests.factories import CycleFactory, ProjectFactory, SessionFactory

pytestmark = pytest.mark.django_db


def last_event() -> Event:
    return Event.objects.latest("sequence")


@pytest.fixture
def rows(owner: User) -> dict[str, Any]:
    company = owner.company
    project = ProjectFactory(company=company, name="Old")
    cycle = CycleFactory(project=project, name="Old")
    return {
        "products": ProductFactory(company=company, name="Old", stock=1),
        "notes": NoteFactory(user=owner, company=company, title="Old", raw_text="Old"),
        "projects": project,
        "cycles": cycle,
        "sessions": SessionFactory(cycle=cycle, user=owner, prefix="Old"),
        "users": owner,
        "companies": company,
    }


@pytest.mark.parametrize(
    ("route", "action", "field", "old", "new"),
    [
        ("products", "product.updated", "name", "Old", "New"),
        ("products", "product.updated", "stock", 1, 2),
        ("notes", "note.updated", "title", "Old", "New"),
        ("notes", "note.updated", "raw_text", None, None),
        ("projects", "project.updated", "name", "Old", "New"),
        ("cycles", "cycle.updated", "name", "Old", "New"),
        ("sessions", "session.updated", "prefix", "Old", "New"),
        ("users", "user.updated", "full_name", "Old Name", "New Name"),
        ("users", "user.role_changed", "role", "agent", "worker"),
        ("companies", "company.updated", "name", "Acme", "New"),
    ],
)
def test_an_update_records_the_changed_fields(
    as_user: Any,
    admin: User,
    owner: User,
    rows: dict[str, Any],
    route: str,
    action: str,
    field: str,
    old: Any,
    new: Any,
) -> None:
    User.objects.filter(pk=owner.pk).update(full_name="Old Name")
    client, url = as_user(admin), f"/api/v1/{route}/{rows[route].pk}"
    sent = "New" if field == "raw_text" else new
    assert client.patch(url, {field: sent}, format="json").status_code == 200
    event = last_event()
    assert (event.action, event.actor_id) == (action, admin.pk)
    changes = (event.target_values or {}).get("changes", event.changes)
    assert changes == {field: {"old": old, "new": new}}

    before = event.sequence
    assert client.patch(url, {field: sent}, format="json").status_code == 200
    assert last_event().sequence == before, "nothing has changed"


def test_the_admin_site_records_changed_fields(superuser: User, rows: dict[str, Any]) -> None:
    client, product = Client(), rows["products"]
    client.force_login(superuser)
    assert last_event().action == "user.admin_session_started"
    fields = ("name", "description", "price", "stock", "category", "sku")
    form = {name: getattr(product, name) for name in fields} | {"stock": 7}
    client.post(f"/admin/catalog/product/{product.pk}/change/", form)
    event = last_event()
    assert (event.action, event.actor_id) == ("product.updated", superuser.pk)
    assert event.changes == {"stock": {"old": 1, "new": 7}}
    client.logout()
    assert last_event().action == "user.admin_session_ended"


class TestSignIn:
    def test_a_failed_one_is_recorded_for_the_company(self, api: APIClient, owner: User) -> None:
        body = {"username": owner.email, "password": "wrong"}
        headers = {"x-forwarded-for": "203.0.113.9"}
        api.post("/api/v1/auth/login", body, headers=headers, REMOTE_ADDR="198.51.100.7")
        event = last_event()
        assert (event.action, event.outcome) == ("login.failed", "failed")
        assert (event.actor_type, event.company_id) == ("anonymous", owner.company_id)
        assert event.actor_values["username"] == owner.email
        assert event.actor_values["ip_address"] == "198.51.100.7"

    @pytest.mark.parametrize("name", ["nobody", "nobody@example.org", "no body@@", "x" * 254])
    def test_a_failed_one_of_an_unknown_account_belongs_to_no_company(
        self, api: APIClient, owner: User, name: str
    ) -> None:
        body = {"username": name, "password": PASSWORD}
        assert api.post("/api/v1/auth/login", body).status_code == 401
        event = last_event()
        assert (event.action, event.company_id) == ("login.failed", None)

    def test_no_event_has_the_password(self, api: APIClient, owner: User) -> None:
        for password in (PASSWORD, "wrong-secret"):
            api.post("/api/v1/auth/login", {"username": owner.email, "password": password})
        stored = str(list(Event.objects.values()))
        assert PASSWORD not in stored
        assert "wrong-secret" not in stored


def test_what_is_denied_is_recorded(as_user: Any, owner: User, rows: dict[str, Any]) -> None:
    url = f"/api/v1/products/{rows['products'].pk}"
    assert as_user(owner).delete(url).status_code == 403
    event = last_event()
    assert (event.action, event.outcome) == ("access.denied", "denied")
    assert (event.actor_id, event.company_id) == (owner.pk, owner.company_id)
    assert event.target_label == "DELETE /api/v1/products/<uuid:pk>"


def test_the_end_of_a_summary_is_recorded(owner: User) -> None:
    runner.run(Summary, TextSummaryFactory(user=owner).pk)
    event = last_event()
    assert (event.action, event.actor_type) == ("summary.completed", "system")
    assert event.owner_id == owner.pk


def test_the_end_of_a_session_is_recorded(owner: User, rows: dict[str, Any]) -> None:
    session = rows["sessions"]
    session.start()
    runner.run(Session, session.pk)
    assert last_event().action == "session.failed"


def test_a_command_is_recorded_as_the_systems(db: None) -> None:
    call_command("seed_admin", email="boss@example.org", password="violet-anchor-42")
    actions = list(Event.objects.order_by("sequence").values_list("action", "actor_type"))
    expected = ["company.created", "user.created", "user.updated"]
    assert actions == [(action, "system") for action in expected]
