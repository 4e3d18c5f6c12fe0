"""The security headers of each kind of response."""

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
HTML = {"HTTP_ACCEPT": "text/html"}


def parse_policy(response: object) -> dict[str, str]:
    directives = response["Content-Security-Policy"].split("; ")  # type: ignore[index]
    return {name: rest for name, _, rest in (d.partition(" ") for d in directives)}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/api/v1/openapi.json", 200),
        ("/api/v1/products", 200),
        ("/api/v1/notes", 401),
        ("/api/v1/nowhere", 404),
        ("/static/bureau/logo.svg", 200),
    ],
)
def test_a_data_response_may_load_nothing(client: Client, path: str, status: int) -> None:
    response = client.get(path)
    response.close()
    assert (response.status_code, response["Content-Security-Policy"]) == (status, DATA_POLICY)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


def test_a_cached_response_has_the_same_headers(client: Client) -> None:
    miss, hit = client.get("/api/v1/products"), client.get("/api/v1/products")
    assert (miss["X-Cache"], hit["X-Cache"]) == ("miss", "hit")
    may_differ = {"X-Cache", "X-Request-ID", "RateLimit-Reset"}
    assert set(miss.headers) - set(hit.headers) <= may_differ | {"Allow"} | {
        name for name in miss.headers if name.startswith("RateLimit")
    }
    for name in ("Content-Security-Policy", "Permissions-Policy", "Referrer-Policy", "Vary"):
        assert hit[name].lower() == miss[name].lower()


@pytest.mark.parametrize(
    "path",
    ["/docs", "/redoc", "/api/v1/docs", "/api/v1/redoc", "/api/v1/products", "/admin/login/"],
)
def test_a_page_loads_only_files_of_this_site(client: Client, path: str) -> None:
    response = client.get(path, **HTML)
    assert response.status_code == 200
    directives = parse_policy(response)
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    allowed = "'self' 'unsafe-eval'" if path.startswith("/admin/") else "'self'"
    assert directives["script-src"] == allowed
    assert ("worker-src" in directives) == path.endswith("/redoc")
    page = response.content.decode()
    assert "https://" not in page.replace("https://www.django-rest-framework.org", "")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/admin/login/", "/api/v1/products"])
def test_no_page_has_an_inline_script(client: Client, path: str) -> None:
    for rest in client.get(path, **HTML).content.decode().split("<script")[1:]:
        attributes = rest.partition(">")[0]
        assert "src=" in attributes or "application/json" in attributes


def test_the_docs_script_is_served_as_a_file(client: Client) -> None:
    response = client.get("/docs?script=")
    assert response["Content-Type"].startswith("application/javascript")
    assert b"openapi.json" in response.content


def test_cookies_are_restricted_to_this_site(client: Client, superuser: User) -> None:
    client.get("/admin/login/")
    form = {"username": "super", "password": PASSWORD}
    response = client.post("/admin/login/", form)
    session = response.cookies["sessionid"]
    assert (session["samesite"], session["httponly"]) == ("Lax", True)
    assert response.cookies["csrftoken"]["samesite"] == "Lax"
