"""Which responses caches may store, and which hosts are served."""

import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import PASSWORD
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db


class TestCacheControl:
    def test_tokens_are_not_stored(self, api: APIClient, owner: User) -> None:
        body = {"username": owner.username, "password": PASSWORD}
        login = api.post("/api/v1/auth/login", body)
        token = {"refresh_token": login.json()["refresh_token"]}
        for response in (login, api.post("/api/v1/auth/refresh", token)):
            assert (response.status_code, response["Cache-Control"]) == (200, "no-store")

    def test_private_rows_and_errors_are_not_stored(self, as_user: Any, owner: User) -> None:
        client = as_user(owner)
        created = client.post("/api/v1/notes", {"raw_text": "A text."})
        responses = [
            created,
            client.get("/api/v1/notes"),
            client.get(f"/api/v1/notes/{created.json()['id']}"),
            client.get("/api/v1/auth/me"),
            client.get("/api/v1/notes", headers={"accept": "text/html"}),
            client.post("/api/v1/notes", {}),
            client.get(f"/api/v1/users/{created.json()['id']}"),
            client.delete("/api/v1/auth/me"),
            client.delete(f"/api/v1/notes/{created.json()['id']}"),
            APIClient().get("/api/v1/notes"),
        ]
        statuses = [response.status_code for response in responses]
        assert statuses == [201, 200, 200, 200, 200, 400, 404, 405, 204, 401]
        assert {response["Cache-Control"] for response in responses} == {"no-store"}

    def test_errors_outside_the_views_are_not_stored(
        self, api: APIClient, broken_view: str
    ) -> None:
        for path, status in ((broken_view, 500), ("/api/v1/nowhere", 404)):
            response = api.get(path)
            assert (response.status_code, response["Cache-Control"]) == (status, "no-store")

    def test_public_rows_are_revalidated(self, api: APIClient) -> None:
        product = ProductFactory()
        for url in ("/api/v1/products", f"/api/v1/products/{product.pk}"):
            for _ in range(2):
                response = api.get(url)
                assert response["Cache-Control"] == "no-cache"
                etag = response["ETag"]
                assert api.get(url, headers={"if-none-match": etag}).status_code == 304

    def test_the_page_of_a_public_row_is_not_stored(self, as_user: Any, owner: User) -> None:
        page = as_user(owner).get("/api/v1/products", headers={"accept": "text/html"})
        assert page["Content-Type"].startswith("text/html")
        assert page["Cache-Control"] == "no-store"


class TestHTMLAndJSON:
    """A cached JSON response is never the answer to a request for HTML, nor the reverse."""

    @pytest.mark.parametrize(
        ("query", "accept", "kind"),
        [
            ("", None, "application/json"),
            ("", "*/*", "application/json"),
            ("", "application/json", "application/json"),
            ("", "text/html", "text/html; charset=utf-8"),
            ("", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("", "text/html;q=0.1,application/json", "application/json"),
            ("?format=api", None, "text/html; charset=utf-8"),
            ("?format=api", "*/*", "text/html; charset=utf-8"),
            ("?f%6Frmat=api", "*/*", "text/html; charset=utf-8"),
            ("?format=json", "text/html,*/*;q=0.8", "application/json"),
            ("?format=json", "text/html", "application/json"),
        ],
    )
    def test_of_products(self, api: APIClient, query: str, accept: str | None, kind: str) -> None:
        product = ProductFactory()
        headers = {"accept": accept} if accept else {}
        for url in ("/api/v1/products", f"/api/v1/products/{product.pk}"):
            for other in ({"accept": "application/json"}, {"accept": "text/html"}):
                api.get(url, headers=other)
                response = api.get(url + query, headers=headers)
                assert (response.status_code, response["Content-Type"]) == (200, kind)

    def test_an_unknown_format_is_refused(self, api: APIClient) -> None:
        assert api.get("/api/v1/products?format=xml").status_code == 404


class TestHost:
    @pytest.fixture(autouse=True)
    def _hosts(self, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["testserver"]

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/metrics",
            "/docs",
            "/admin/",
            "/static/bureau/logo.svg",
            "/api/v1/products",
            "/api/v1/auth/me",
            "/api/v1/openapi.json",
            "/nowhere",
        ],
    )
    @pytest.mark.parametrize("host", ["evil.example", "a b", "", "testserver.evil.example"])
    def test_a_foreign_host_is_refused(self, api: APIClient, path: str, host: str) -> None:
        api.get(path).close()  # may fill the cache
        response = api.get(path, HTTP_HOST=host)
        assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
        document = json.loads(response.content)
        assert document["code"] == "unknown_host"
        assert document["request_id"] == response["X-Request-ID"]

    @pytest.mark.parametrize("path", ["/health", "/health/", "/api/v1/health", "/api/health"])
    def test_health_answers_whatever_the_host(self, api: APIClient, path: str) -> None:
        for host in ("evil.example", "a b", "", "10.0.0.7:8000"):
            for extra in ({}, {"HTTP_ORIGIN": "https://evil.example"}):
                assert api.get(path, HTTP_HOST=host, **extra).json() == {"status": "ok"}

    @pytest.mark.parametrize("host", ["10.0.0.7:8000", ""])
    def test_probes_by_address_learn_whether_it_is_ready(self, api: APIClient, host: str) -> None:
        assert api.get("/ready", HTTP_HOST=host).json()["checks"]["database"] == "ok"

    def test_a_known_host_is_served(self, api: APIClient) -> None:
        assert api.get("/api/v1/products", HTTP_HOST="testserver:8000").status_code == 200


class TestAdminWithoutASlash:
    @pytest.mark.parametrize("debug", [True, False])
    @pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
    def test_the_start_page_needs_a_sign_in(
        self, client: Client, settings: Any, method: str, debug: bool
    ) -> None:
        settings.DEBUG = debug
        for path in ("/admin", "/admin/"):
            response = getattr(client, method)(path)
            assert response.status_code == 302
            assert response["Location"].startswith("/admin/login/")

    @pytest.mark.parametrize("method", ["get", "post", "delete"])
    def test_other_pages_never_fail(self, client: Client, settings: Any, method: str) -> None:
        settings.DEBUG = True
        for path in ("/admin/login", "/admin/accounts/user", "/admin/nowhere", "/admin/jsi18n"):
            assert getattr(client, method)(path).status_code < 500
