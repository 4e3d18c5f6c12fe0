"""Every route refuses query parameters that it does not know."""

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.support import iter_routes
from common.api.query_parameters import ALIASES
from posts.models import Feed
from uploads.tests.factories import SessionFactory

pytestmark = pytest.mark.django_db

# Pages and routes for operators.
EXEMPT = {"", "health", "docs", "redoc", "openapi.json"}
ROUTES = {
    path: callback
    for path, callback in iter_routes()
    if path.startswith("api/v1/") and path.removeprefix("api/v1/") not in EXEMPT
}
NO_ID = "00000000-0000-0000-0000-000000000000"
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")


def url_of(path: str) -> str:
    path = path.replace("<uuid:pk>", NO_ID).replace("<int:pk>", "1").replace("<str:pk>", "bullets")
    return f"/{path}"


def lists() -> dict[str, str]:
    """Return the URLs of all lists but the audit log, each with a field to order it by.

    The audit log grows with each request, and has no search.
    """
    views = {path: callback for path, callback in ROUTES.items() if hasattr(callback, "actions")}
    views.pop("api/v1/audit")
    return {
        url_of(path): callback.cls.ordering_fields[0]
        for path, callback in views.items()
        if callback.actions.get("get") == "list" and hasattr(callback.cls, "ordering_fields")
    }


def errors(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


@pytest.fixture
def client(as_user: Any, superuser: User, settings: Any) -> APIClient:
    settings.API_RATE_LIMIT = settings.AUTH_RATE_LIMIT = settings.AUTH_ACCOUNT_RATE_LIMIT = "off"
    # With a fresh copy no request waits for the feed.
    Feed.objects.create(name=Feed.NAME, fresh_at=timezone.now())
    settings.RATE_LIMIT_PER_MINUTE = settings.RATE_LIMIT_PER_HOUR = "off"
    return as_user(superuser)


def test_every_route_answers_options(client: APIClient) -> None:
    statuses = {path: client.options(url_of(path)).status_code for path in ROUTES}
    assert {p: s for p, s in statuses.items() if s not in (200, 404, 405)} == {}


@pytest.mark.parametrize("path", ROUTES)
def test_every_method_refuses_an_unknown_parameter(client: APIClient, path: str) -> None:
    statuses = {}
    for method in METHODS:
        response = getattr(client, method)(f"{url_of(path)}?nonsense=1")
        if response.status_code != 405:
            statuses[method] = response.status_code
            if method != "head":
                assert errors(response) == [("nonsense", "unknown_parameter")], method
    assert set(statuses.values()) == {400}


def test_authentication_comes_first(api: APIClient) -> None:
    assert api.get("/api/v1/notes?nonsense=1").status_code == 401


def test_the_message_has_the_nearest_name(client: APIClient) -> None:
    response = client.get("/api/v1/notes", {"statu": "failed", "pagesize": "5", "PAGE": "2"})
    messages = {error["field"]: error["message"] for error in response.json()["errors"]}
    assert messages == {
        "statu": "Unknown parameter. Did you mean `status`?",
        "PAGE": "Unknown parameter. Did you mean `page`?",
        "pagesize": "Unknown parameter. Did you mean `page_size`?",
    }


def test_a_long_name_is_shortened(client: APIClient) -> None:
    response = client.get("/api/v1/notes?" + "x" * 50_000 + "=1")
    assert response.json()["errors"][0]["field"] == "x" * 100 + "…"
    assert len(response.content) < 2000


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/docs", "/api/v1/health"])
def test_other_routes_ignore_parameters(api: APIClient, path: str) -> None:
    assert api.get(f"{path}?all=1").status_code in (200, 503)


def test_the_documented_parameters_are_accepted(client: APIClient) -> None:
    schema = client.get("/api/v1/openapi.json").json()
    for path, operations in schema["paths"].items():
        url = path.replace("{id}", "1" if "posts" in path else NO_ID)
        for method, operation in operations.items():
            names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            response = getattr(client, method)(f"{url}?" + "&".join(f"{name}=" for name in names))
            content = b"" if response.streaming else response.content
            assert b"unknown_parameter" not in content, (method, path, names)


class TestAliases:
    @pytest.mark.parametrize(("url", "field"), lists().items())
    def test_both_names_work_on_every_list(
        self, client: APIClient, superuser: User, url: str, field: str
    ) -> None:
        values = {"search": "chair", "ordering": f"-{field}", "page_size": "7"}
        if "/sessions/" in url:
            session = SessionFactory(company=superuser.company)
            url = url.replace(NO_ID, str(session.pk))
        for name, alias in ALIASES:
            value = values.get(name, "2026-01-01")
            one, other = client.get(url, {name: value}), client.get(url, {alias: value})
            assert (one.status_code, other.status_code) == (200, 200), (name, one.content)
            assert one.content == other.content

    def test_a_list_with_one_of_the_names_knows_the_other(self, client: APIClient) -> None:
        one, other = (client.get(f"/api/v1/products/search?{n}=desk") for n in ("q", "search"))
        assert (one.status_code, one.content) == (200, other.content)
        one, other = (
            client.get(f"/api/v1/summaries/usage?{n}=2026-01-01") for n in ("from", "created_after")
        )
        assert (one.status_code, one.content) == (200, other.content)

    def test_an_error_names_what_was_sent(self, client: APIClient) -> None:
        query = {"from": "x", "sort_by": "y", "status": "z"}
        fields = [field for field, _ in errors(client.get("/api/v1/notes", query))]
        assert fields == ["from", "status", "sort_by"]
        assert errors(client.get("/api/v1/notes", {"per_page": "0"})) == [("per_page", "invalid")]

    def test_both_at_once_are_refused(self, client: APIClient) -> None:
        response = client.get("/api/v1/notes", {"search": "a", "q": "b"})
        assert errors(response) == [("q", "repeated_parameter")]

    @pytest.mark.parametrize("name", ["q", "search", "page", "sort_by", "status"])
    def test_a_parameter_of_one_value_is_refused_if_repeated(
        self, client: APIClient, name: str
    ) -> None:
        response = client.get(f"/api/v1/notes?{name}=1&{name}=2")
        assert errors(response) == [(name, "repeated_parameter")]

    def test_a_list_may_be_repeated(self, client: APIClient) -> None:
        client.post("/api/v1/notes", {"raw_text": "A text."})
        items = client.get("/api/v1/notes?fields=id&fields=title").json()["items"]
        assert items[0].keys() == {"id", "title"}

    def test_an_alias_filters(self, client: APIClient) -> None:
        for text in ("Alpha text.", "Beta text."):
            client.post("/api/v1/notes", {"raw_text": text})
        items = client.get("/api/v1/notes", {"q": "beta", "sort_by": "title"}).json()["items"]
        assert [item["excerpt"] for item in items] == ["Beta text."]

    def test_sort_order_is_the_direction(self, client: APIClient) -> None:
        for title in "bca":
            client.post("/api/v1/notes", {"raw_text": "A text.", "title": title})

        def titles(**query: str) -> str:
            items = client.get("/api/v1/notes", query).json()["items"]
            return "".join(item["title"] for item in items)

        assert titles(sort_by="title") == titles(ordering="title", sort_order="asc") == "abc"
        assert titles(sort_by="title", sort_order="desc") == titles(sort_by="-title") == "cba"
        assert titles(sort_order="asc") == "bca"
        assert errors(client.get("/api/v1/notes", {"sort_order": "up"})) == [
            ("sort_order", "invalid")
        ]


class TestFiltersApplyToListsAlone:
    def test_a_row_does_not_know_them(self, client: APIClient, owner: User) -> None:
        for path in (f"users/{owner.pk}", f"users/{owner.pk}/role"):
            response = client.put(f"/api/v1/{path}?role=admin", {"role": "worker"})
            assert errors(response) == [("role", "unknown_parameter")]
        owner.refresh_from_db()
        assert owner.role == "agent"

    def test_a_post_to_the_list_does_not_know_them(self, client: APIClient) -> None:
        response = client.post("/api/v1/notes?status=failed", {"raw_text": "A text."})
        assert errors(response) == [("status", "unknown_parameter")]


class TestFormat:
    def test_a_known_format_works_everywhere(self, client: APIClient) -> None:
        assert client.get("/api/v1/notes?format=json").status_code == 200
        page = client.get("/api/v1/notes?format=api", headers={"accept": "text/html"})
        assert page["Content-Type"].startswith("text/html")
