"""Read-only fields in a body: unchanged values are accepted, other ones are refused."""

import json
from typing import Any
from uuid import UUID

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from notes.models import SummaryTemplate
from notes.tests.factories import NoteFactory
from uploads.models import SessionStatus
from uploads.tests.factories import SessionFactory

SCHEMA: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
WRITABLE_ROWS = sorted(path for path, operations in SCHEMA["paths"].items() if "put" in operations)
# The target of presigned URLs takes a file, and a role is not a row.
NO_ROWS = ("/api/v1/uploads/direct/{id}", "/api/v1/users/{id}/role")
VOLATILE_FIELDS = {
    "cycles": {"status"},
    "notes": {
        "attempts", "error", "excerpt", "model", "omitted", "status", "summary", "text_length"
    },
    "sessions": {
        "attempts", "bytes_uploaded", "error", "files_failed", "files_skipped", "files_uploaded",
        "progress", "status", "total_files", "total_size_bytes",
    },
}  # fmt: skip
UNCHANGED_FIELDS = {"id", "company", "company_id", "user_id", "built_in"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def urls(admin: User) -> dict[str, str]:
    """Create a row for each path of a writable row; return their URLs."""
    session = SessionFactory(cycle__project__company=admin.company, user=admin)
    template = SummaryTemplate.objects.create(
        company=admin.company, name="Customers", instructions="Only customers."
    )
    ids = {
        "companies": admin.company_id,
        "cycles": session.cycle_id,
        "notes": NoteFactory(user=admin).pk,
        "products": ProductFactory(company=admin.company).pk,
        "projects": session.project_id,
        "sessions": session.pk,
        "summary-templates": template.pk,
        "users": admin.pk,
    }
    return {
        path: path.replace("{id}", str(ids.get(path.split("/")[3], "")))
        for path in WRITABLE_ROWS
        if path not in NO_ROWS
    }


def read_only_fields(path: str, method: str) -> set[str]:
    """Return the fields of the response that the schema's body of a request does not have."""
    operation = SCHEMA["paths"][path][method]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    response = SCHEMA["paths"][path]["get"]["responses"]["200"]
    row = response["content"]["application/json"]["schema"]
    sent, shown = (
        SCHEMA["components"]["schemas"][s["$ref"].rsplit("/", 1)[-1]]["properties"]
        for s in (body, row)
    )
    return set(shown) - set(sent)


def other_value(name: str, value: Any) -> Any:
    if name == "status":
        return "failed"
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case dict():
            return value | {"name": "Other"}
    return "2020-01-01T00:00:00Z" if str(value).endswith("Z") else "other"


def errors_of(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def test_every_read_only_field_of_every_row_is_checked(
    as_user: Any, admin: User, urls: dict[str, str]
) -> None:
    client = as_user(admin)
    for path, url in urls.items():
        row = client.get(url).json()
        # A worker account may write some fields of a session; the schema shows them.
        reported = VOLATILE_FIELDS["sessions"] if "/sessions/" in path else set()
        names = (read_only_fields(path, "put") | reported) & set(row)
        assert names >= {"id", "created_at", "updated_at"}
        assert client.put(url, {name: row[name] for name in names}).status_code == 200, path
        for name in names:
            for method in ("put", "patch"):
                changed = {name: other_value(name, row[name])}
                errors = errors_of(getattr(client, method)(url, changed))
                assert errors == [(name, "read_only")], (path, name)


def test_a_whole_row_may_have_outdated_values_of_the_server(
    as_user: Any, admin: User, urls: dict[str, str]
) -> None:
    """Only those that the server changes by itself, and only values that it may have had."""
    client = as_user(admin)
    for path, url in urls.items():
        row = client.get(url).json()
        volatile = VOLATILE_FIELDS.get(path.split("/")[3], set())
        times = {name for name in row if name.endswith("_at")} | ({"last_login"} & set(row))
        outdated = dict.fromkeys(times, "2020-01-01T00:00:00Z")
        outdated |= {name: other_value(name, row[name]) for name in volatile}
        response = client.put(url, row | outdated)
        assert response.status_code == 200, (path, response.content)
        for name in UNCHANGED_FIELDS & set(row):
            body = row | outdated | {name: other_value(name, row[name])}
            assert (name, "read_only") in errors_of(client.put(url, body)), (path, name)
        body = row | dict.fromkeys(times, "nonsense")
        assert {code for _, code in errors_of(client.put(url, body))} == {"read_only"}


@pytest.mark.parametrize("status", ["nonsense", "completed", 1, ["pending"], {}])
def test_the_status_of_a_cycle_can_not_be_set(as_user: Any, admin: User, status: Any) -> None:
    cycle = SessionFactory(cycle__project__company=admin.company).cycle
    client, url = as_user(admin), f"/api/v1/cycles/{cycle.pk}"
    assert errors_of(client.put(url, {"status": status})) == [("status", "read_only")]
    row = client.get(url).json()
    assert errors_of(client.put(url, row | {"status": "nonsense"})) == [("status", "read_only")]


def test_a_job_that_moved_on_does_not_break_a_read_modify_write(as_user: Any, admin: User) -> None:
    session = SessionFactory(cycle__project__company=admin.company)
    client, url = as_user(admin), f"/api/v1/cycles/{session.cycle_id}"
    row = client.get(url).json()
    type(session).objects.update(status=SessionStatus.IN_PROGRESS)
    changed = client.put(url, row | {"name": "Second round"})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["status"]) == ("Second round", "in_progress")


@pytest.mark.parametrize("send_as", ["json", "multipart", "urlencoded"])
def test_equal_spellings_of_a_value_are_equal(as_user: Any, admin: User, send_as: str) -> None:
    session = SessionFactory(cycle__project__company=admin.company, user=admin)
    client, url = as_user(admin), f"/api/v1/sessions/{session.pk}"
    row = client.get(url).json()
    body = {
        "id": row["id"].upper(),
        "company_id": UUID(row["company_id"]).hex,
        "created_at": session.created_at.isoformat(),
        "total_files": "0",
        "progress": "0.00",
        "error": "",
        "started_at": None if send_as == "json" else "",
    }
    if send_as == "json":
        assert client.put(url, body).status_code == 200
    elif send_as == "multipart":
        assert client.put(url, body, format="multipart").status_code == 200
    else:
        form = "&".join(f"{n}={v}" for n, v in body.items() if "+" not in str(v))
        kind = "application/x-www-form-urlencoded"
        assert client.put(url, form, content_type=kind).status_code == 200


def test_the_company_of_a_product_is_compared_as_a_whole(as_user: Any, admin: User) -> None:
    product = ProductFactory(company=admin.company)
    client, url = as_user(admin), f"/api/v1/products/{product.pk}"
    company = client.get(url).json()["company"]
    assert client.put(url, {"company": company | {"id": company["id"].upper()}}).status_code == 200
    for other in (
        str(admin.company_id),
        company | {"code": "rival"},
        company | {"is_active": True},
        {"id": company["id"]},
        [company],
        None,
    ):
        assert errors_of(client.put(url, {"company": other})) == [("company", "read_only")]


def test_all_errors_are_reported_together(as_user: Any, admin: User) -> None:
    product = ProductFactory(company=admin.company)
    body = {"price": "-1", "colour": "red", "id": str(admin.pk)}
    response = as_user(admin).patch(f"/api/v1/products/{product.pk}", body)
    assert sorted(errors_of(response)) == [
        ("colour", "unknown_field"),
        ("id", "read_only"),
        ("price", "min_value"),
    ]


def test_a_new_row_takes_no_read_only_values(as_user: Any, admin: User) -> None:
    client, url = as_user(admin), "/api/v1/products"
    row = client.get(f"{url}/{ProductFactory(company=admin.company).pk}").json()
    copy = row | {"sku": "COPY-1"}
    names = ("company", "created_at", "id", "updated_at")
    assert sorted(errors_of(client.post(url, copy))) == [(name, "read_only") for name in names]
    assert Product.objects.count() == 1
    without_values = copy | dict.fromkeys(names)
    assert client.post(url, without_values).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("notes", {"raw_text": "A.", "status": "completed"}),
        ("summaries", {"text": "A.", "status": "completed"}),
        ("summaries/batch", {"texts": ["A."], "status": "completed"}),
        ("summary-templates", {"name": "N", "instructions": "I", "status": None, "id": "x"}),
        ("projects", {"name": "N", "bucket_name": "acme-data", "company_id": "x"}),
        ("invitations", {"email": "a@example.org", "status": "accepted"}),
    ],
)
def test_every_kind_of_new_row_refuses_them(
    as_user: Any, admin: User, path: str, body: dict[str, Any]
) -> None:
    response = as_user(admin).post(f"/api/v1/{path}", body)
    assert "read_only" in {code for _, code in errors_of(response)}, json.dumps(body)


def test_routes_without_a_body_refuse_fields(as_user: Any, admin: User) -> None:
    client = as_user(admin)
    without_body = [
        path
        for path, operations in SCHEMA["paths"].items()
        if "requestBody" not in operations.get("post", {"requestBody": None})
    ]
    assert "/api/v1/notes/{id}/summarize" in without_body
    for path in without_body:
        url = path.replace("{id}", str(admin.pk))
        errors = errors_of(client.post(url, {"status": "completed"}))
        assert errors == [("status", "unknown_field")], path
        form = client.post(url, "a=1", content_type="application/x-www-form-urlencoded")
        assert errors_of(form) == [("a", "unknown_field")], path
        assert client.post(url, ["a"]).status_code == 400
        assert client.post(url, "{", content_type="application/json").status_code == 400
    note = NoteFactory(user=admin)
    for body in ({}, None, []):
        assert client.post(f"/api/v1/notes/{note.pk}/summarize", body).status_code == 202
    url = "/api/v1/auth/logout"
    assert client.post(url, "", content_type="application/json").status_code == 204


class TestNull:
    """`null` for an optional text, list or object means empty."""

    def test_in_every_row(self, as_user: Any, admin: User, urls: dict[str, str]) -> None:
        client = as_user(admin)
        empty = {
            "notes/": {"title": ""},
            "products/": {"description": "", "category": ""},
            "projects/": {"description": "", "aws_region": ""},
            "cycles/": {"description": "", "prefix": "", "metadata": {}},
            "sessions/": {"prefix": "", "include": [], "exclude": []},
            "companies/": {"contact_email": ""},
            "users/": {"full_name": ""},
            "summary-templates/": {"description": ""},
            "profile/": {"full_name": ""},
        }
        for path, url in urls.items():
            values = next(v for name, v in empty.items() if f"/api/v1/{name}" in path)
            row = client.put(url, dict.fromkeys(values)).json()
            assert {name: row[name] for name in values} == values, path

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("notes", {"raw_text": "A.", "title": None}),
            ("summaries", {"text": "A.", "note_id": None, "file": None, "template": None}),
            ("summaries/batch", {"texts": ["A."], "template": None, "language": None}),
            ("users", {"email": "a@example.org", "username": None, "role": None}),
            ("auth/signup", {"email": "a@example.org", "password": "pond-Lamp-4-tree"}
             | dict.fromkeys(("username", "full_name", "company_name", "invitation", "role"))),
        ],
    )  # fmt: skip
    def test_in_a_new_row(self, as_user: Any, admin: User, path: str, body: Any) -> None:
        assert as_user(admin).post(f"/api/v1/{path}", body).status_code in (201, 202)

    def test_of_an_alias_means_that_it_was_left_out(self, api: APIClient, owner: User) -> None:
        body = {"username": None, "email": owner.email, "password": "x"}
        assert api.post("/api/v1/auth/login", body).json()["code"] == "invalid_credentials"
        body = {"username": None, "email": None, "password": "x"}
        assert errors_of(api.post("/api/v1/auth/login", body)) == [("username", "required")]

    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("products", ("name", "price", "stock")),
            ("projects", ("name", "bucket_name", "is_active")),
            ("sessions", ("max_workers", "verify")),
            ("users", ("email", "username", "password", "role")),
            ("notes", ("raw_text",)),
        ],
    )
    def test_other_fields_refuse_it(
        self, as_user: Any, admin: User, urls: dict[str, str], path: str, fields: tuple[str, ...]
    ) -> None:
        response = as_user(admin).patch(urls[f"/api/v1/{path}/{{id}}"], dict.fromkeys(fields))
        assert sorted(errors_of(response)) == sorted((name, "null") for name in fields)
