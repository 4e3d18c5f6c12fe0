"""Conventions of all routes, tested through existing routes."""

import hashlib
import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from common.ids import uuid7
from common.models import IdempotencyRecord

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


def parse_problem(response: Any, status: int) -> dict:
    """Check that a response is a problem document with all required members; return it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    document = json.loads(response.content)
    assert document["status"] == status
    assert document["type"].startswith("urn:bureau:problem:")
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response["X-Request-ID"]
    return document


@pytest.fixture
def browser() -> Client:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    return Client(raise_request_exception=False, headers={"accept": accept})


class TestProblems:
    @pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/xml"])
    def test_an_unknown_route_is_a_404_problem(self, api: APIClient, accept: str | None) -> None:
        headers = {"accept": accept} if accept else {}
        response = api.get("/api/v1/nothing", headers=headers)
        assert parse_problem(response, 404)["code"] == "not_found"

    def test_an_unknown_route_outside_the_api_is_a_404_problem(self, api: APIClient) -> None:
        parse_problem(api.get("/nothing/at/all"), 404)

    def test_a_browser_gets_an_html_error_page(self, browser: Client) -> None:
        response = browser.get("/nothing")
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")

    def test_a_wrong_method_is_a_405_problem(self, api: APIClient) -> None:
        response = api.delete("/api/v1/auth/login")
        assert parse_problem(response, 405)["code"] == "method_not_allowed"
        assert "POST" in response["Allow"]

    def test_a_wrong_method_outside_rest_framework_is_a_405_problem(self, api: APIClient) -> None:
        strict = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
        for client in (api, strict):
            for path in ("/health", "/ready", "/"):
                response = client.post(path, {})
                assert parse_problem(response, 405)["code"] == "method_not_allowed"
                assert "GET" in response["Allow"]

    def test_errors_of_the_docs_pages_are_problems(self, api: APIClient) -> None:
        parse_problem(api.post("/docs", {}), 405)
        parse_problem(api.options("/docs"), 405)
        parse_problem(api.options("/redoc"), 405)
        assert api.head("/docs").status_code == 200
        parse_problem(api.get("/docs", headers={"accept": "image/png"}), 406)

    @pytest.mark.parametrize(
        ("origin", "is_allowed"),
        [
            ("http://localhost:3000", True),
            ("http://localhost", True),
            ("http://127.0.0.1:5173", True),
            ("http://localhost.example.com:3000", False),
            ("https://app.example.com", False),
        ],
    )
    def test_pages_of_this_machine_may_call_the_api_in_development(
        self, api: APIClient, origin: str, is_allowed: bool
    ) -> None:
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        for response in (
            api.get("/api/v1/products", headers={"origin": origin}),
            api.options("/api/v1/auth/login", headers=preflight),
        ):
            allowed = response.get("Access-Control-Allow-Origin")
            assert allowed == (origin if is_allowed else None)

    def test_problems_have_the_headers_of_every_response(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
        response = api.get("/api/v1/nothing", headers={"origin": "https://app.example.org"})
        assert response["Access-Control-Allow-Origin"] == "https://app.example.org"
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_a_request_without_a_token_is_a_401_problem(self, api: APIClient) -> None:
        response = api.get("/api/v1/notes")
        assert parse_problem(response, 401)["code"] == "not_authenticated"
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_an_unsupported_media_type_is_a_415_problem(self, api: APIClient) -> None:
        response = api.post("/api/v1/auth/login", "<a/>", content_type="text/xml")
        assert parse_problem(response, 415)["code"] == "unsupported_media_type"

    @pytest.mark.parametrize(
        "accept",
        [
            "application/problem+json",
            "application/problem+json; charset=utf-8",
            "application/json;q=0.5, application/problem+json",
            "application/xml, application/problem+json;q=0.1",
            "application/vnd.bureau.v1+json",
            "application/*",
            "text/json",
            "Application/JSON; charset=utf-8",
            "*/*;q=0.1",
            "",
        ],
    )
    def test_all_names_of_json_are_accepted(
        self, api: APIClient, as_user: Any, owner: Any, accept: str
    ) -> None:
        headers = {"accept": accept}
        for path in ("notes", "products", "auth/me"):
            response = as_user(owner).get(f"/api/v1/{path}", headers=headers)
            assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        parse_problem(api.get("/api/v1/notes", headers=headers), 401)
        parse_problem(as_user(owner).post("/api/v1/notes", {}, headers=headers), 400)
        assert api.get("/api/v1/openapi.json", headers=headers).status_code == 200

    def test_an_unacceptable_media_type_is_a_406_problem(self, as_user: Any, owner: Any) -> None:
        response = as_user(owner).get("/api/v1/notes", headers={"accept": "image/png"})
        assert parse_problem(response, 406)["code"] == "not_acceptable"

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "",
            "nope",
            '{"a": NaN}',
            "[" * 10_000,
            "[]",
            '"text"',
            "null",
            '{"a": 1' + "0" * 5000,
        ],
    )
    def test_malformed_json_is_a_400_problem(self, api: APIClient, body: str) -> None:
        response = api.post("/api/v1/auth/login", body, content_type="application/json")
        parse_problem(response, 400)

    def test_invalid_utf8_is_a_400_problem(self, api: APIClient) -> None:
        response = api.post("/api/v1/auth/login", b'{"a": "\xff"}', content_type="application/json")
        parse_problem(response, 400)

    def test_a_byte_order_mark_is_accepted(self, as_user: Any, owner: Any) -> None:
        body = '{"raw_text": "Über."}'.encode("utf-8-sig")
        response = as_user(owner).post("/api/v1/notes", body, content_type="application/json")
        assert (response.status_code, response.json()["raw_text"]) == (201, "Über.")

    @pytest.mark.parametrize(
        "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
    )
    def test_json_in_utf16_is_named_as_such(self, api: APIClient, encoding: str) -> None:
        body = '{"email": "a@example.org"}'.encode(encoding)
        response = api.post("/api/v1/auth/login", body, content_type="application/json")
        assert parse_problem(response, 400)["detail"] == (
            "The body is JSON in UTF-16 or UTF-32. Send it in UTF-8."
        )

    def test_too_many_parameters_are_a_400_problem(self, api: APIClient, settings: Any) -> None:
        # Django's debug page would read the parameters again.
        settings.DEBUG = True
        query = "&".join(f"a{number}=1" for number in range(1500))
        for path in ("products", "products/search", "posts", "auth/login"):
            assert parse_problem(api.get(f"/api/v1/{path}?{query}"), 400)["code"] == "parse_error"
        response = api.post(
            "/api/v1/auth/login", query, content_type="application/x-www-form-urlencoded"
        )
        parse_problem(response, 400)

    def test_every_invalid_field_is_named(self, api: APIClient) -> None:
        response = api.post("/api/v1/auth/signup", {"email": "no", "usrname": "x", "full_name": []})
        document = parse_problem(response, 400)
        assert document["code"] == "validation_error"
        assert {(e["field"], e["code"]) for e in document["errors"]} == {
            ("email", "invalid"),
            ("password", "required"),
            ("full_name", "invalid"),
            ("usrname", "unknown_field"),
        }
        assert all(error["message"] for error in document["errors"])

    def test_the_first_unknown_fields_are_named(self, api: APIClient) -> None:
        body = {f"a{number:05}": 1 for number in range(1_000)}
        errors = parse_problem(api.post("/api/v1/auth/login", body), 400)["errors"]
        assert [e["field"] for e in errors if e["code"] == "unknown_field"] == [
            f"a{number:05}" for number in range(20)
        ]

    def test_the_length_of_a_list_is_checked_before_its_items(
        self, as_user: Any, owner: Any
    ) -> None:
        body = {"texts": [""] * 50_000}
        errors = parse_problem(as_user(owner).post("/api/v1/summaries/batch", body), 400)["errors"]
        assert [(e["field"], e["code"]) for e in errors] == [("texts", "max_length")]

    def test_an_internal_error_is_a_500_problem_without_details(
        self, api: APIClient, broken_view: str
    ) -> None:
        document = parse_problem(api.get(broken_view), 500)
        assert document["code"] == "internal_error"
        assert "secret" not in json.dumps(document)

    def test_an_internal_error_hides_its_details_in_debug_too(
        self, api: APIClient, broken_view: str, settings: Any
    ) -> None:
        settings.DEBUG = True
        assert "secret" not in json.dumps(parse_problem(api.get(broken_view), 500))

    def test_an_unknown_route_is_a_problem_in_debug_too(
        self, api: APIClient, settings: Any
    ) -> None:
        settings.DEBUG = True
        parse_problem(api.get("/api/v1/nothing"), 404)

    def test_an_unavailable_database_is_a_503_problem(
        self, api: APIClient, view_without_database: str
    ) -> None:
        response = api.get(view_without_database)
        assert parse_problem(response, 503)["code"] == "service_unavailable"
        assert int(response["Retry-After"]) >= 1


class TestInvalidText:
    @pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
    def test_a_body_field_is_named(self, as_user: Any, owner: Any, text: str) -> None:
        body = json.dumps({"raw_text": text})
        response = as_user(owner).post("/api/v1/notes", body, content_type="application/json")
        assert parse_problem(response, 400)["errors"][0]["field"] == "raw_text"

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("signup", '{"\\ud800": 1}'),
            ("signup", '{"role": "\\ud800"}'),
            ("refresh", '{"refresh_token": "\\ud800"}'),
            ("login", '{"username": "\\ud800", "password": "x"}'),
            ("password/reset", '{"email": "\\ud800@example.org"}'),
        ],
    )
    def test_lone_surrogates_are_refused_everywhere(
        self, api: APIClient, path: str, body: str
    ) -> None:
        response = api.post(f"/api/v1/auth/{path}", body, content_type="application/json")
        assert response.status_code in (400, 401)
        assert response["Content-Type"] == PROBLEM

    @pytest.mark.parametrize("name", ["search", "status", "ordering", "page", "created_after"])
    def test_a_query_parameter_is_named(self, as_user: Any, owner: Any, name: str) -> None:
        response = as_user(owner).get("/api/v1/notes", {name: "a\x00b"})
        assert parse_problem(response, 400)["errors"][0]["field"] == name

    def test_a_null_character_in_a_path_is_not_found(self, as_user: Any, owner: Any) -> None:
        parse_problem(as_user(owner).get("/api/v1/notes/a%00b"), 404)

    def test_an_id_that_is_not_a_uuid_is_not_found(self, as_user: Any, owner: Any) -> None:
        parse_problem(as_user(owner).get("/api/v1/notes/1"), 404)


class TestPagination:
    URL = "/api/v1/notes"

    @pytest.mark.parametrize(
        ("query", "page", "size"),
        [
            ("", 1, 10),
            ("page=2&page_size=5", 2, 5),
            ("per_page=7", 1, 7),
            ("page_size=1000", 1, 100),
            ("page_size=" + "9" * 30, 1, 100),
            ("page=99999999", 99999999, 10),
        ],
    )
    def test_a_page_has_items_and_totals(
        self, as_user: Any, owner: Any, query: str, page: int, size: int
    ) -> None:
        body = as_user(owner).get(f"{self.URL}?{query}").json()
        assert body == {
            "items": [], "total": 0, "page": page, "page_size": size, "total_pages": 0,
        }  # fmt: skip

    def test_a_very_large_page_number_gives_an_empty_page(self, as_user: Any, owner: Any) -> None:
        client = as_user(owner)
        client.post(self.URL, {"raw_text": "One."})
        body = client.get(f"{self.URL}?page={'9' * 5000}").json()
        assert (body["items"], body["total"], body["total_pages"]) == ([], 1, 1)

    @pytest.mark.parametrize("name", ["page", "page_size", "per_page"])
    @pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "٣", " 1", "0000"])
    def test_an_invalid_value_is_named(
        self, as_user: Any, owner: Any, name: str, value: str
    ) -> None:
        response = as_user(owner).get(self.URL, {name: value})
        assert parse_problem(response, 400)["errors"][0]["field"] == name

    def test_an_unknown_ordering_field_is_refused(self, as_user: Any, owner: Any) -> None:
        response = as_user(owner).get(self.URL, {"ordering": "-password"})
        assert parse_problem(response, 400)["errors"][0]["field"] == "ordering"


class TestPaths:
    @pytest.mark.parametrize(
        "path", ["/api/v1/notes", "/api/v1/notes/", "/api/notes", "/api/notes/"]
    )
    def test_both_prefixes_work_with_and_without_a_slash(
        self, as_user: Any, owner: Any, path: str
    ) -> None:
        client = as_user(owner)
        created = client.post(path, {"raw_text": "A note."})
        assert created.status_code == 201
        assert client.get(path).json()["total"] == 1
        url = f"{path.rstrip('/')}/{created.json()['id']}"
        slash = "/" if path.endswith("/") else ""
        assert client.patch(url + slash, {"title": "x"}).status_code == 200
        assert client.put(url + slash, {"title": "y"}).status_code == 200
        assert client.delete(url + slash).status_code == 204

    def test_ids_may_have_capital_letters(self, as_user: Any, admin: Any) -> None:
        client = as_user(admin)
        made = {
            path: client.post(f"/api/v1/{path}", body).json()["id"].upper()
            for path, body in {
                "notes": {"raw_text": "A note."},
                "summaries": {"text": "A text."},
                "summary-templates": {"name": "Risks", "instructions": "Only risks."},
                "products": {"name": "Lamp", "price": "1", "stock": 1, "sku": "L-1"},
                "projects": {"name": "P", "bucket_name": "acme-data"},
                "users": {"email": "mia@example.org", "password": "pond-Lamp-4-tree"},
                "invitations": {"email": "leo@example.org"},
            }.items()
        }
        for path, pk in made.items():
            for url in (f"/api/v1/{path}/{pk}", f"/api/{path}/{pk.title()}/"):
                response = client.get(url)
                assert (response.status_code, response.json()["id"]) == (200, pk.lower()), url
        project = {"project_id": made["projects"], "name": "C", "number": 1}
        cycle = client.post("/api/v1/cycles", project)
        assert (cycle.status_code, cycle.json()["project_id"]) == (201, made["projects"].lower())
        assert client.get(f"/api/v1/cycles?project_id={made['projects']}").json()["total"] == 1
        body = {"note_id": made["notes"], "template": made["summary-templates"]}
        summary = client.post("/api/v1/summaries", body).json()
        assert (summary["note_id"], summary["template"]) == (made["notes"].lower(), "Risks")

    @pytest.mark.parametrize("pk", ["{%s}", "urn:uuid:%s", "%s0", "0%s", "%s-"])
    def test_other_spellings_of_an_id_are_not_found(
        self, as_user: Any, admin: Any, pk: str
    ) -> None:
        client = as_user(admin)
        for path in ("notes", "products", "summary-templates", "users", "sessions"):
            parse_problem(client.get(f"/api/v1/{path}/{pk % admin.pk}"), 404)

    @pytest.mark.parametrize("path", ["/health", "/health/", "/api/v1/health", "/api/health/"])
    def test_health_is_served_at_every_url(self, api: APIClient, path: str) -> None:
        assert api.get(path).json() == {"status": "ok"}

    @pytest.mark.parametrize("path", ["/docs", "/redoc/", "/api/v1/docs", "/api/redoc"])
    def test_docs_are_served_at_every_url(self, browser: Client, path: str) -> None:
        response = browser.get(path)
        assert response.status_code == 200
        assert b"//cdn" not in response.content

    def test_the_schema_has_only_the_current_version(self, api: APIClient) -> None:
        paths = api.get("/api/v1/openapi.json").json()["paths"]
        assert "/api/v1/notes" in paths
        assert all(path.startswith("/api/v1/") for path in paths)


class TestRequestId:
    def test_a_client_id_is_kept(self, api: APIClient) -> None:
        response = api.get("/health", headers={"x-request-id": "abc-123"})
        assert response["X-Request-ID"] == "abc-123"

    @pytest.mark.parametrize("client_id", ["", "a b", "x" * 129, "é", "<script>"])
    def test_a_malformed_id_is_replaced(self, api: APIClient, client_id: str) -> None:
        response = api.get("/health", headers={"x-request-id": client_id})
        assert response["X-Request-ID"] not in ("", client_id)


class TestIdempotency:
    URL = "/api/v1/notes"

    def test_the_same_key_and_body_get_the_first_response(self, as_user: Any, owner: Any) -> None:
        client = as_user(owner)
        first, second = (
            client.post(self.URL, {"raw_text": "Once."}, headers={"idempotency-key": "k1"})
            for _ in range(2)
        )
        assert first.status_code == second.status_code == 201
        assert first.json() == second.json()
        assert "Idempotency-Replayed" not in first
        assert second["Idempotency-Replayed"] == "true"
        assert client.get(self.URL).json()["total"] == 1

    def test_the_same_key_with_another_body_is_refused(self, as_user: Any, owner: Any) -> None:
        client = as_user(owner)
        client.post(self.URL, {"raw_text": "Once."}, headers={"idempotency-key": "k1"})
        second = client.post(self.URL, {"raw_text": "Two."}, headers={"idempotency-key": "k1"})
        assert parse_problem(second, 422)["code"] == "idempotency_key_reused"

    def test_two_users_can_use_the_same_key(self, as_user: Any, owner: Any, colleague: Any) -> None:
        for person in (owner, colleague):
            response = as_user(person).post(
                self.URL, {"raw_text": f"By {person.username}."}, headers={"idempotency-key": "k"}
            )
            assert response.status_code == 201
            assert response.json()["user_id"] == str(person.pk)

    def test_a_failed_request_can_be_repeated_with_its_key(self, as_user: Any, owner: Any) -> None:
        client = as_user(owner)
        headers = {"idempotency-key": "k1"}
        assert client.post(self.URL, {}, headers=headers).status_code == 400
        assert client.post(self.URL, {"raw_text": "Now."}, headers=headers).status_code == 201

    @pytest.mark.parametrize("key", ["", "x" * 256, "é"])
    def test_a_malformed_key_is_refused(self, as_user: Any, owner: Any, key: str) -> None:
        response = as_user(owner).post(
            self.URL, {"raw_text": "One."}, headers={"idempotency-key": key}
        )
        assert parse_problem(response, 400)["errors"][0]["field"] == "Idempotency-Key"

    def test_anonymous_clients_of_two_addresses_can_use_the_same_key(self, api: APIClient) -> None:
        url, headers = "/api/v1/auth/signup", {"idempotency-key": "k"}
        body = {"email": "new@example.org", "password": "correct-horse-battery"}
        first = api.post(url, body, headers=headers, REMOTE_ADDR="1.1.1.1")
        stranger = api.post(url, body, headers=headers, REMOTE_ADDR="2.2.2.2")
        again = api.post(url, body, headers=headers, REMOTE_ADDR="1.1.1.1")
        assert (first.status_code, stranger.status_code) == (201, 400)
        assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
        other = api.post(url, body | {"email": "b@x.org"}, headers=headers, REMOTE_ADDR="2.2.2.2")
        assert other.status_code == 201

    def test_a_stored_fingerprint_does_not_reveal_a_password(self, api: APIClient) -> None:
        body = {"email": "new@example.org", "password": "correct-horse-battery"}
        api.post("/api/v1/auth/signup", body, headers={"idempotency-key": "k1"})
        record = IdempotencyRecord.objects.get()
        plain_hash = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        assert record.fingerprint != plain_hash
        assert b"correct-horse" not in bytes(record.body)


def test_ids_are_sorted_by_time() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert ids == sorted(ids)
    assert {i.version for i in ids} == {7}
