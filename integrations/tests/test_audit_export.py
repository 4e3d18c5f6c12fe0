import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.tests.factories import ProductFactory
from common.events import record
from common.events.models import Event
from integrations.audit import export

pytestmark = pytest.mark.django_db
EXPORT = "/api/v1/audit/export"


@pytest.fixture
def client(as_user: Any, admin: User) -> APIClient:
    return as_user(admin)


@pytest.fixture
def events(admin: User, outsider: User) -> list[str]:
    """The ids of the products' events, the newest first; another company has some, too."""
    product = ProductFactory(company=admin.company, name='=HYPERLINK("x")')
    foreign_product = ProductFactory(company=outsider.company)
    for _ in range(3):
        record("product.updated", by=admin, target=product, changes={"name": ("+1", "=2")})
        record("product.updated", by=outsider, target=foreign_product)
    own = Event.objects.filter(company_id=admin.company_id, action="product.updated")
    return [str(event.id) for event in own.order_by("-sequence")]


def download(client: APIClient, **query: str) -> str:
    response = client.get(EXPORT, query)
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content).decode()


def test_json_lines_have_the_entries_of_the_list(client: APIClient, events: list[str]) -> None:
    lines = [json.loads(line) for line in download(client, action="product.*").splitlines()]
    page = client.get("/api/v1/audit", {"action": "product.*"}).json()["items"]
    assert [line["id"] for line in lines] == events
    assert lines == [{k: v for k, v in entry.items() if k != "data"} for entry in page]


def test_csv_has_a_row_for_each_entry(client: APIClient, admin: User, events: list[str]) -> None:
    text = download(client, format="csv", action="product.*")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == events
    row = rows[0]
    assert (row["type"], row["outcome"]) == ("product.updated", "success")
    assert (row["actor_id"], row["actor_label"]) == (str(admin.pk), "admin")
    assert json.loads(row["changes"]) == {"name": {"old": "+1", "new": "=2"}}
    assert row["occurred_at"].endswith("Z")
    assert row["hash"] == ""


def test_csv_has_no_formulas(client: APIClient, events: list[str]) -> None:
    text = download(client, format="csv", action="product.*")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert '\'=HYPERLINK("x")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_is_recorded_with_its_filters(client: APIClient, admin: User) -> None:
    download(client, format="csv", outcome="denied")
    (event,) = Event.objects.filter(action="audit.exported")
    assert (event.actor_id, event.company_id) == (admin.pk, admin.company_id)
    assert event.actor_values["filters"] == "format=csv&outcome=denied"


def test_more_than_one_batch_is_complete(
    client: APIClient, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_SIZE", 1)
    monkeypatch.setattr("integrations.audit.views.BATCH_SIZE", 1)
    lines = download(client, action="product.*").splitlines()
    assert [json.loads(line)["id"] for line in lines] == events


def test_a_superuser_exports_all_companies(
    as_user: Any, superuser: User, events: list[str]
) -> None:
    assert len(download(as_user(superuser), action="product.*").splitlines()) == 6


def test_wrong_values_are_named(client: APIClient) -> None:
    response = client.get(EXPORT, {"format": "xlsx", "actor": "x", "page": "2"})
    assert response.status_code == 400
    response = client.get(EXPORT, {"format": "xlsx", "actor": "x"})
    assert {error["field"] for error in response.json()["errors"]} == {"format", "actor"}


def test_an_export_without_entries_is_a_file(client: APIClient) -> None:
    assert download(client, action="note.*") == ""
    assert download(client, action="note.*", format="csv").startswith("id,type,")


def test_the_number_of_queries_does_not_grow(
    client: APIClient, admin: User, events: list[str], count_queries: Callable[..., int]
) -> None:
    few = count_queries(lambda: download(client, action="product.*"))
    product = ProductFactory(company=admin.company)
    for _ in range(20):
        record("product.updated", by=admin, target=product)
    assert count_queries(lambda: download(client, action="product.*")) == few
