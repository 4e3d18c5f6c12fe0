"""Bodies are refused by their size before they are read, and by their depth before parsing."""

import json
import time
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from common.api.parsers import MAX_NESTING_DEPTH, is_nested_too_deeply

pytestmark = pytest.mark.django_db

LOGIN = "/api/v1/auth/login"
NOTES = "/api/v1/notes"
JSON = "application/json"


class UnreadableBody:
    """A body that fails the test if it is read."""

    def read(self, *_: int) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def post(client: APIClient, url: str, body: bytes | str, kind: str = JSON, **extra: Any) -> Any:
    return client.post(url, body, content_type=kind, **extra)


def post_unread(client: APIClient, url: str, size: int) -> Any:
    return client.generic(
        "POST", url, b"x", JSON, CONTENT_LENGTH=str(size), **{"wsgi.input": UnreadableBody()}
    )


def first_error(response: Any) -> tuple[str, str]:
    assert response.status_code == 400, response.content
    error = response.json()["errors"][0]
    return error["field"], error["code"]


class TestSize:
    @pytest.mark.parametrize(
        "url",
        [
            LOGIN,
            "/api/v1/auth/login/json",
            "/api/v1/auth/signup",
            "/api/v1/auth/register",
            "/api/v1/auth/refresh",
            "/api/v1/auth/password/reset",
            "/api/v1/auth/password/reset/confirm",
        ],
    )
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b'{"a": "' + b"x" * 16_384 + b'"}', JSON),
            (b"a=" + b"x" * 16_384, "application/x-www-form-urlencoded"),
            (b"x" * 17_000, "multipart/form-data; boundary=b"),
        ],
        ids=["json", "form", "multipart"],
    )
    def test_a_sign_in_takes_16_kb(self, api: APIClient, url: str, body: bytes, kind: str) -> None:
        response = post(api, url, body, kind)
        assert (response.status_code, response["Content-Type"]) == (413, "application/problem+json")
        document = response.json()
        assert document["code"] == "too_large"
        assert document["detail"] == "The request body is too large: at most 16,384 bytes."

    @pytest.mark.parametrize("url", ["/admin/login/", "/admin/notes/note/add/", "/password/x"])
    def test_a_page_takes_16_kb_without_a_sign_in(self, client: Client, url: str) -> None:
        # With the cookie, Django would look for its token in the form.
        client.cookies["csrftoken"] = "x" * 32
        kind = "application/x-www-form-urlencoded"
        response = client.post(url, b"a=" + b"%41" * 6_000, content_type=kind)
        assert response.status_code == 413
        assert "at most 16,384 bytes" in response.json()["detail"]

    def test_a_page_takes_more_of_staff(self, client: Client, superuser: User) -> None:
        client.force_login(superuser)
        response = client.post("/admin/notes/note/add/", {"raw_text": "x" * 100_000})
        assert response.status_code != 413

    def test_a_row_takes_what_its_texts_need(self, as_user: Any, admin: User) -> None:
        client = as_user(admin)
        body = {"name": "A", "price": "1.00", "sku": "s", "description": "😀" * 20_000}
        assert post(client, "/api/v1/products", json.dumps(body)).status_code == 201
        response = post(client, "/api/v1/products", b" " * 524_289)
        assert response.status_code == 413
        assert "at most 524,288 bytes" in response.json()["detail"]

    @pytest.mark.parametrize("character", ["é", "😀"])
    def test_a_note_takes_its_longest_text_in_escapes(
        self, as_user: Any, owner: User, character: str
    ) -> None:
        body = json.dumps({"raw_text": character * 500_000, "title": "T"})
        assert "\\u" in body
        assert post(as_user(owner), NOTES, body).status_code == 201
        assert post(as_user(owner), NOTES, b" " * 6_600_000).status_code == 413

    def test_a_length_that_is_no_number_is_an_empty_body(self, api: APIClient) -> None:
        response = api.generic("POST", LOGIN, b"{}", JSON, CONTENT_LENGTH="x")
        assert response.status_code == 400


class TestOrder:
    def test_a_body_without_sign_in_is_not_read(self, api: APIClient) -> None:
        for url in (NOTES, "/api/v1/products", "/api/v1/summaries", "/api/v1/users"):
            assert post_unread(api, url, 8_000_000).status_code == 401

    @pytest.mark.parametrize("route", ["login", "refresh", "signup"])
    def test_a_request_is_counted_before_its_body_is_read(
        self, api: APIClient, settings: Any, route: str
    ) -> None:
        settings.API_RATE_LIMIT = "2/minute"
        url = f"/api/v1/auth/{route}"
        assert [post(api, url, b"[" * 10_000).status_code for _ in range(2)] == [400, 400]
        assert post_unread(api, url, 100).status_code == 429

    def test_a_refused_body_counts(self, api: APIClient, settings: Any) -> None:
        settings.API_RATE_LIMIT = "2/minute"
        responses = [post(api, LOGIN, b"x" * 20_000) for _ in range(3)]
        assert [response.status_code for response in responses] == [413, 413, 429]


class TestDepth:
    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_the_limit_is_named(self, as_user: Any, owner: User, opening: str) -> None:
        closing = {"[": "]", '{"a":': "}"}[opening]
        for depth, status in ((MAX_NESTING_DEPTH, "valid"), (MAX_NESTING_DEPTH + 1, "deep")):
            inner = "1" if opening != "[" else ""
            response = post(as_user(owner), NOTES, opening * depth + inner + closing * depth)
            assert response.status_code == 400
            is_refused = response.json()["detail"] == "The JSON is nested deeper than 50 levels."
            assert is_refused == (status == "deep")

    @pytest.mark.parametrize(
        ("body", "is_deep"),
        [
            (b"[" * 51, True),
            (b"[" * 50 + b"]" * 50, False),
            (b"[]" * 1000, False),
            (b'["' + b"[" * 1000 + b'"]', False),
            (b'["\\"' + b"[" * 1000 + b'"]', False),
            (b'["\\\\",' + b"[" * 51, True),
            (b'["\\\\\\"' + b"[" * 1000 + b'"]', False),
            (b'"' + b"[" * 1000, False),
            (b"]" * 100 + b"[" * 51, False),
        ],
    )
    def test_brackets_in_strings_do_not_count(self, body: bytes, is_deep: bool) -> None:
        assert is_nested_too_deeply(body) is is_deep

    @pytest.mark.parametrize(
        "piece",
        [b"[", b"[]", b'"', b'\\"', b"\\", b'["', b'"\\', b'{"a":[', b'"["'],
    )
    def test_the_check_takes_linear_time(self, piece: bytes) -> None:
        started = time.process_time()
        is_nested_too_deeply(b"[" * 51 + piece * (1_000_000 // len(piece)))
        assert time.process_time() - started < 1


class TestJSON:
    def test_a_repeated_key_is_named(self, as_user: Any, owner: User) -> None:
        body = '{"raw_text": "One.", "title": "a", "title": "b"}'
        assert first_error(post(as_user(owner), NOTES, body)) == ("title", "duplicate_key")
        nested = '{"raw_text": {"a": {"b": 1, "b": 1}}}'
        assert first_error(post(as_user(owner), NOTES, nested)) == ("b", "duplicate_key")

    def test_a_long_repeated_key_is_shortened(self, as_user: Any, owner: User) -> None:
        key = "k" * 100_000
        response = post(as_user(owner), NOTES, f'{{"{key}": 1, "{key}": 2}}')
        assert first_error(response) == ("k" * 100 + "…", "duplicate_key")
        assert len(response.content) < 1000

    def test_a_byte_order_mark_is_accepted(self, as_user: Any, owner: User) -> None:
        body = b"\xef\xbb\xbf" + b'{"raw_text": "One."}'
        assert post(as_user(owner), NOTES, body).status_code == 201

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            ("{", "The body is not valid JSON: Expecting property name"),
            ('{"a": NaN}', "The body is not valid JSON: NaN is not a number in JSON."),
            ('{"a": -Infinity}', "The body is not valid JSON: -Infinity is not a number in JSON."),
            ('{"a": 1' + "0" * 5000 + "}", "The body is not valid JSON: a number has more than"),
            (b'{"a": "\xff"}', "The body is not valid UTF-8, from byte 7 on."),
            (b"\xff\xfe{\0}\0", "The body is JSON in UTF-16 or UTF-32. Send it in UTF-8."),
        ],
    )
    def test_errors_are_sentences(self, api: APIClient, body: Any, detail: str) -> None:
        response = post(api, LOGIN, body)
        assert response.status_code == 400
        assert response.json()["detail"].startswith(detail)

    @pytest.mark.parametrize("charset", ["utf-7", "utf-16", "zip", "bz2", "rot13", "latin-1"])
    @pytest.mark.parametrize("kind", [JSON, "application/x-www-form-urlencoded"])
    def test_other_charsets_are_refused(self, api: APIClient, kind: str, charset: str) -> None:
        response = post(api, LOGIN, b"{}", f"{kind}; charset={charset}")
        assert response.status_code == 415
        assert charset in response.json()["detail"]

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "nonsense"])
    def test_utf8_is_accepted(self, as_user: Any, owner: User, charset: str) -> None:
        kind = f"{JSON}; charset={charset}"
        assert post(as_user(owner), NOTES, '{"raw_text": "é"}'.encode(), kind).status_code == 201


class TestShownValues:
    """An error shows at most 100 characters of a name or a value."""

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("notes", {"k" * 200_000: 1}),
            ("invitations", {"email": "a@example.org", "role": "k" * 200_000}),
            ("summaries", {"note_id": "k" * 200_000}),
            ("summaries", {"text": "A text.", "template": "k" * 200_000}),
            ("summaries", {"text": "A text.", "language": "k" * 200_000}),
            ("cycles", {"project_id": "k" * 200_000, "name": "a"}),
            ("cycles", {"metadata": {"a": {"k" * 200_000: "\0"}}}),
        ],
    )
    def test_of_bodies(self, as_user: Any, admin: User, path: str, body: dict) -> None:
        response = as_user(admin).post(f"/api/v1/{path}", body)
        assert response.status_code == 400
        assert "k" * 101 not in response.content.decode()
        assert len(response.content) < 1500

    @pytest.mark.parametrize("name", ["status", "user_id", "ordering", "page", "created_after"])
    def test_of_queries(self, as_user: Any, admin: User, name: str) -> None:
        response = as_user(admin).get("/api/v1/notes", {name: "k" * 20_000})
        assert response.status_code == 400
        assert len(response.content) < 1500

    def test_of_multipart_names(self, as_user: Any, owner: User) -> None:
        name = "k" * 900
        body = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nx\r\n--b--\r\n'
        response = post(
            as_user(owner), "/api/v1/summaries", body, "multipart/form-data; boundary=b"
        )
        assert response.status_code == 400
        assert "k" * 101 not in response.content.decode()
