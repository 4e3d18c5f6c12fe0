"""The OpenAPI schema: every operation has a summary, examples and its errors."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft4Validator

from common.api.schema import CachedSchemaGenerator, _cached_schema

SCHEMA: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
METHODS = {"get", "post", "put", "patch", "delete"}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


OPERATIONS = list(operations())
each_operation = pytest.mark.parametrize(
    "operation", [operation for _, operation in OPERATIONS], ids=[name for name, _ in OPERATIONS]
)


def body_contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from body.get("content", {}).items()


def test_the_schema_is_valid_and_generated_without_warnings(tmp_path: Any) -> None:
    file = str(tmp_path / "schema.yml")
    call_command("spectacular", validate=True, fail_on_warn=True, file=file)


def test_the_schema_has_only_the_current_version() -> None:
    assert all(path.startswith("/api/v1/") for path in SCHEMA["paths"])


@each_operation
def test_every_operation_has_a_summary_a_description_and_a_tag(operation: dict[str, Any]) -> None:
    assert 5 <= len(operation["summary"]) <= 100
    assert operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in SCHEMA["tags"]}


@each_operation
def test_every_operation_lists_its_errors(operation: dict[str, Any]) -> None:
    problems = {int(status) for status in operation["responses"] if int(status) >= 400}
    assert {429, 503} <= problems
    if "requestBody" in operation:
        assert {400, 413, 415} <= problems
    if {} not in operation.get("security", [{}]):
        assert 401 in problems
    if any(p["in"] == "path" for p in operation.get("parameters", ())):
        assert 404 in problems
    for status in problems:
        name = operation["responses"][str(status)]["$ref"].rsplit("/", 1)[-1]
        assert "application/problem+json" in SCHEMA["components"]["responses"][name]["content"]


@each_operation
def test_every_json_body_has_a_valid_example(operation: dict[str, Any]) -> None:
    for media_type, content in body_contents(operation):
        if "json" not in media_type:
            continue
        assert "example" in content or content.get("examples")
        if "example" in content:
            allowed = Draft4Validator({**content["schema"], "components": SCHEMA["components"]})
            errors = [e.message for e in allowed.iter_errors(content["example"])]
            assert not [e for e in errors if "required property" not in e]


def test_every_json_body_has_a_schema() -> None:
    without_schema = {
        name
        for name, operation in OPERATIONS
        for media_type, content in body_contents(operation)
        if "json" in media_type and "schema" not in content
    }
    assert without_schema == set()


def test_a_post_that_creates_a_row_accepts_an_idempotency_key() -> None:
    for name in ("post /api/v1/notes", "post /api/v1/products", "post /api/v1/auth/signup"):
        operation = dict(OPERATIONS)[name]
        assert {p["name"] for p in operation["parameters"]} == {"Idempotency-Key"}
        assert {"409", "422"} <= set(operation["responses"])
    # A key can be invalid.
    assert "400" in dict(OPERATIONS)["post /api/v1/sessions/{id}/retry"]["responses"]


def test_conditional_requests_are_described() -> None:
    by_name = dict(OPERATIONS)
    patch, get = by_name["patch /api/v1/products/{id}"], by_name["get /api/v1/products/{id}"]
    assert "If-Match" in {p["name"] for p in patch["parameters"]}
    assert "412" in patch["responses"]
    assert "If-None-Match" in {p["name"] for p in get["parameters"]}
    assert "ETag" in get["responses"]["200"]["headers"]


def test_the_fields_of_a_put_are_optional() -> None:
    body = dict(OPERATIONS)["put /api/v1/notes/{id}"]["requestBody"]
    assert not body.get("required", False)
    schema = body["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/PatchedNoteRequest")


@pytest.mark.django_db
def test_the_schema_is_served_at_both_urls(client: Client) -> None:
    schemas = [client.get(path).json() for path in ("/api/v1/openapi.json", "/api/openapi.json")]
    assert schemas[0] == schemas[1] == SCHEMA
    assert schemas[0]["openapi"].startswith("3.")


@pytest.mark.django_db
def test_the_schema_is_generated_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/api/v1/openapi.json")
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    assert client.get("/api/v1/openapi.json?version=2").json() == SCHEMA


def test_search_and_stats_have_filters() -> None:
    by_name = dict(OPERATIONS)
    search = by_name["get /api/v1/products/search"]
    assert {"q", "page", "page_size", "min_price"} <= {p["name"] for p in search["parameters"]}
    schema = search["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/PaginatedProductList")
    stats = by_name["get /api/v1/sessions/stats"]
    assert {p["name"] for p in stats["parameters"]} == {
        "project_id",
        "created_after",
        "created_before",
        "fields",
    }


def test_an_empty_string_matches_one_alternative() -> None:
    """If it matched two alternatives of a `oneOf`, no response with it would be valid."""
    for name, schema in SCHEMA["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            if "oneOf" in described and {"type": "string", "maxLength": 0} in described["oneOf"]:
                assert Draft4Validator(described).is_valid(""), f"{name}.{field}"


def test_optional_fields_are_nullable() -> None:
    schemas = SCHEMA["components"]["schemas"]
    for name, fields in {
        "Note": ("started_at", "finished_at"),
        "Summary": ("batch_id", "note_id", "started_at", "finished_at"),
        "Batch": ("started_at", "finished_at"),
        "BatchDetail": ("started_at", "finished_at"),
        "Session": ("started_at", "finished_at"),
        "Job": ("started_at", "finished_at", "result"),
    }.items():
        assert all(schemas[name]["properties"][field]["nullable"] for field in fields)


def test_bodies_accept_null_for_optional_texts_that_responses_always_have() -> None:
    schemas = SCHEMA["components"]["schemas"]
    for name, fields in {
        "Note": ("title",),
        "Cycle": ("prefix", "description", "metadata"),
        "Session": ("prefix", "include", "exclude", "verify"),
        "Product": ("description", "category"),
    }.items():
        for field in fields:
            assert schemas[f"{name}Request"]["properties"][field]["nullable"], (name, field)
            assert "nullable" not in schemas[name]["properties"][field]
    # `null` means "left out", which only a new row allows.
    assert "nullable" not in schemas["PatchedManagedUserRequest"]["properties"]["username"]
    assert "nullable" not in schemas["ProductRequest"]["properties"]["sku"]


def test_the_usage_totals_are_described() -> None:
    totals = SCHEMA["components"]["schemas"]["PaginatedUsageList"]["properties"]["totals"]
    cost = totals["properties"]["cost_usd"]
    assert (cost["type"], cost["format"]) == ("string", "decimal")


def described_fields(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the description of each field, inner ones too."""
    for field, inner in schema.get("properties", {}).items():
        yield f"{name}.{field}", inner.get("description", "")
        yield from described_fields(f"{name}.{field}", inner)
        yield from described_fields(f"{name}.{field}", inner.get("items", {}))


def test_every_field_is_described() -> None:
    """By a `help_text`, or in the app's `field_descriptions.py`."""
    schemas = SCHEMA["components"]["schemas"].items()
    fields = [field for name, schema in schemas for field in described_fields(name, schema)]
    assert [path for path, text in fields if not text] == []


def test_every_parameter_response_and_tag_is_described() -> None:
    responses = SCHEMA["components"]["responses"]
    undescribed = {name for name, response in responses.items() if not response["description"]}
    undescribed |= {tag["name"] for tag in SCHEMA["tags"] if not tag.get("description")}
    for name, operation in OPERATIONS:
        entries = {p["name"]: p for p in operation.get("parameters", ())} | operation["responses"]
        missing = (key for key, e in entries.items() if "$ref" not in e and not e["description"])
        undescribed |= {f"{name}: {key}" for key in missing}
    assert undescribed == set()


def test_every_body_has_one_media_type() -> None:
    others = {}
    for name, operation in OPERATIONS:
        media_types = list(operation.get("requestBody", {}).get("content", {}))
        assert len(media_types) <= 1
        if media_types not in ([], ["application/json"]):
            others[name] = media_types[0]
    assert others["post /api/v1/summaries"] == "multipart/form-data"
    assert others["put /api/v1/uploads/direct/{id}"] == "application/octet-stream"


def test_operation_ids_are_names_of_methods() -> None:
    ids = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in ids)
    by_name = {name: operation["operationId"] for name, operation in OPERATIONS}
    assert {
        "get /api/v1/notes": "notes_list",
        "post /api/v1/notes": "notes_create",
        "patch /api/v1/notes/{id}": "notes_partial_update",
        "post /api/v1/notes/{id}/summarize": "notes_summarize",
        "post /api/v1/auth/login": "auth_login",
        "put /api/v1/users/{id}/role": "users_role_update",
        "get /api/v1/sessions/stats": "sessions_stats",
        "delete /api/v1/auth/sessions": "auth_sessions_destroy_all",
    }.items() <= by_name.items()


def test_fields_that_are_always_sent_are_required() -> None:
    schemas = SCHEMA["components"]["schemas"]
    optional = {
        f"{name}.{field}"
        for name, schema in schemas.items()
        if not name.endswith("Request") and name != "Problem"
        for field in set(schema.get("properties", {})) - set(schema.get("required", ()))
    }
    person = {"email", "company", "is_active", "last_login", "created_at", "updated_at"}
    assert optional <= {
        "NoteList.raw_text",
        "PaginatedProductList.corrected",
        *(f"Person.{field}" for field in person),
    }


def test_bodies_have_no_other_fields() -> None:
    for name, schema in SCHEMA["components"]["schemas"].items():
        if name.endswith("Request"):
            assert schema["additionalProperties"] is False, name


def test_closed_sets_are_enums() -> None:
    parameters = {
        f"{name}: {p['name']}": p["schema"]
        for name, operation in OPERATIONS
        for p in operation.get("parameters", ())
    }
    assert parameters["get /api/v1/notes: status"]["enum"]
    assert parameters["get /api/v1/users: role"]["enum"]
    assert "-price" in parameters["get /api/v1/products: ordering"]["enum"]
    assert parameters["get /api/v1/products: sort_order"]["enum"] == ["asc", "desc"]
    template = SCHEMA["components"]["schemas"]["SummaryRequest"]["properties"]["template"]
    assert "bullets" in template["anyOf"][0]["enum"]


def test_swagger_ui_can_sign_in() -> None:
    scheme = SCHEMA["components"]["securitySchemes"]["passwordLogin"]
    assert scheme["flows"]["password"]["tokenUrl"] == "/api/v1/auth/login"
    assert {"passwordLogin": []} in dict(OPERATIONS)["get /api/v1/notes"]["security"]


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["owner", "admin"])
@pytest.mark.parametrize(
    "path", ["/api/v1/users", "/api/v1/companies", "/api/v1/auth/me", "/api/v1/auth/sessions"]
)
def test_a_response_has_the_required_fields_for_each_role(
    as_user: Any, request: pytest.FixtureRequest, role: str, path: str
) -> None:
    response = as_user(request.getfixturevalue(role)).get(path)
    described = SCHEMA["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**described["schema"], "components": SCHEMA["components"]}
    missing = [e.message for e in Draft4Validator(schema).iter_errors(response.json())]
    assert [message for message in missing if "required property" in message] == []


def test_parallel_first_requests_share_one_schema() -> None:
    _cached_schema.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: CachedSchemaGenerator().get_schema(), range(8)))
    assert all(result is results[0] for result in results)
