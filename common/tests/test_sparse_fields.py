"""`?fields=`: every list and row can be read with only some of its fields."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts.models import Invitation, User
from catalog.tests.factories import ProductFactory
from common.ids import uuid7
from common.jobs import runner
from notes import services
from notes.models import Summary
from notes.summary_options import SummaryOptions
from notes.tests.factories import NoteFactory, TextSummaryFactory
from posts.models import Feed
from uploads.tests.factories import SessionFactory, SessionFileFactory

PATHS: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)["paths"]
# Answers with a file or a stream have no fields to choose.
READS = sorted(
    path
    for path, methods in PATHS.items()
    if "get" in methods and not path.endswith(("/export", "/stream"))
)
pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(admin: User, as_user: Any, settings: Any, httpserver: Any) -> dict[str, str]:
    """Create a row for each list; return the ids that the paths of rows contain."""
    post = {"id": 7, "userId": 1, "title": "T", "body": "B"}
    httpserver.expect_request("/posts").respond_with_json([post])
    settings.POSTS_API_URL = httpserver.url_for("/posts")
    runner.run(Feed, Feed.objects.request_refresh(immediately=True).pk)
    note = NoteFactory(user=admin)
    runner.run(Summary, note.own_summary.pk)
    session = SessionFactory(cycle__project__company=admin.company)
    SessionFileFactory(session=session)
    Invitation.objects.create(
        company=admin.company, email="mia@example.org", invited_by=admin, expires_at=timezone.now()
    )
    ProductFactory.create_batch(2, company=admin.company)
    file = SimpleUploadedFile("products.csv", b"sku,name,price\nD-1,Desk,cheap\n")
    imported = as_user(admin).post("/api/v1/products/import", {"file": file}, format="multipart")
    batch = services.create_batch(by=admin, texts=["a b c"], options=SummaryOptions())
    return {
        "admin/users": str(admin.pk),
        "companies": str(admin.company_id),
        "cycles": str(session.cycle_id),
        "notes": str(note.pk),
        "posts": "7",
        "products": str(ProductFactory(company=admin.company).pk),
        "products/imports": imported.json()["id"],
        "projects": str(session.project_id),
        "sessions": str(session.pk),
        "summaries": str(TextSummaryFactory(user=admin).pk),
        "summaries/batches": str(batch.pk),
        "summary-templates": "bullets",
        "uploads/status": str(session.pk),
        "users": str(admin.pk),
    }


def read(client: APIClient, path: str, **query: str) -> Any:
    """Read a path, with a search query for the route that requires one."""
    required = {"q": "product"} if path.endswith(("/products/search", "/search/smart")) else {}
    return client.get(path, required | query)


@pytest.mark.parametrize("path", READS)
def test_every_list_and_row_documents_the_parameter(path: str) -> None:
    parameters = {p["name"]: p for p in PATHS[path]["get"]["parameters"]}
    assert parameters["fields"]["in"] == "query"
    assert "400" in PATHS[path]["get"]["responses"]


def test_every_row_has_only_the_fields_that_are_named(
    as_user: Any, admin: User, rows: dict[str, str]
) -> None:
    client = as_user(admin)
    for template in READS:
        route = template.removeprefix("/api/v1/").partition("/{id}")[0]
        if "{id}" in template and route not in rows:
            continue
        path = template.replace("{id}", rows.get(route, ""))
        if path == "/api/v1/audit":  # grows with each request: see test_audit_api.py
            continue
        whole = read(client, path).json()
        is_page = "total_pages" in whole
        if path == "/api/v1/events":  # readable after the transaction: see test_events_api.py
            assert whole["items"] == []
            continue
        row = whole["items"][0] if is_page else whole
        names = list(row)[1:3]
        sparse = read(client, path, fields=",".join(names)).json()
        if is_page:
            assert sparse.keys() == whole.keys(), path
            assert [list(item) for item in sparse["items"]] == [names] * len(whole["items"])
        sparse_row = sparse["items"][0] if is_page else sparse
        assert sparse_row == {name: row[name] for name in names}, path


def test_an_unknown_field_is_named_with_the_nearest(as_user: Any, superuser: User) -> None:
    client = as_user(superuser)
    for path in READS:
        # The row does not exist: the fields are checked before it is looked for.
        row_id = "1" if "/posts/" in path else str(uuid7())
        response = read(client, path.replace("{id}", row_id), fields="created_att")
        assert response.status_code == 400, path
        (error,) = response.json()["errors"]
        assert (error["field"], error["code"]) == ("fields", "unknown_field")
        assert error["message"].startswith("There is no field 'created_att'. ")


@pytest.fixture
def client(as_user: Any, owner: User) -> APIClient:
    NoteFactory(user=owner, title="Pump")
    return as_user(owner)


def list_notes(client: APIClient, query: str) -> Any:
    return client.get(f"/api/v1/notes?{query}").json()


def test_the_message_proposes_a_field_or_lists_all(client: APIClient) -> None:
    body = list_notes(client, "fields=titel,summary,zzz")
    messages = [error["message"] for error in body["errors"]]
    assert messages[0] == "There is no field 'titel'. Did you mean 'title'?"
    assert messages[1].startswith("There is no field 'zzz'. Known: id, title, raw_text, excerpt,")
    assert len(messages) == 2


@pytest.mark.parametrize(
    "query",
    [
        "fields=title,id",
        "fields=title&fields=id",
        "fields=%20title,,id,title,",
        "fields=title,id,",
    ],
)
def test_names_may_be_repeated_and_have_spaces(client: APIClient, query: str) -> None:
    (item,) = list_notes(client, query)["items"]
    assert list(item) == ["title", "id"]


@pytest.mark.parametrize("query", ["", "fields=", "fields=,"])
def test_without_names_all_fields_are_there(client: APIClient, query: str) -> None:
    (item,) = list_notes(client, query)["items"]
    assert {"id", "title", "excerpt", "text_length", "summary", "updated_at"} <= set(item)


def test_an_empty_page_reports_unknown_fields_too(as_user: Any, colleague: User) -> None:
    assert list_notes(as_user(colleague), "fields=titel")["errors"][0]["field"] == "fields"


def test_a_query_with_many_unknown_fields_reports_the_first(client: APIClient) -> None:
    names = ",".join(f"unknown_field_with_a_long_name_{number}" for number in range(150))
    errors = list_notes(client, f"fields={names}")["errors"]
    assert len(errors) == 5


def test_a_field_that_only_admins_see_is_unknown_to_others(
    as_user: Any, owner: User, admin: User
) -> None:
    assert as_user(admin).get("/api/v1/users?fields=email").status_code == 200
    assert as_user(owner).get("/api/v1/users?fields=email").status_code == 400


def test_a_field_of_the_request_alone_is_unknown(as_user: Any, admin: User) -> None:
    for path in ("users?fields=password", "summaries?fields=text"):
        assert as_user(admin).get(f"/api/v1/{path}").status_code == 400


def test_cached_answers_differ_by_their_fields(api: APIClient, admin: User) -> None:
    ProductFactory(company=admin.company, name="Pump")
    keys = [
        set(api.get(f"/api/v1/products{query}").json()["items"][0])
        for query in ("?fields=name", "?fields=name,sku", "", "?fields=name")
    ]
    assert keys[0] == keys[3] == {"name"}
    assert keys[1] == {"name", "sku"}
    assert len(keys[2]) > 5


def test_an_html_page_shows_only_these_fields(client: APIClient) -> None:
    response = client.get("/api/v1/notes?fields=title", headers={"accept": "text/html"})
    assert response.status_code == 200
    assert b"&quot;title&quot;: &quot;Pump&quot;" in response.content
    assert b"&quot;text_length&quot;" not in response.content
