"""Access tokens and refresh tokens: when they are valid and when they end."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company, Login, User
from accounts.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
ME = "/api/v1/auth/me"
PLAIN_WORDS = {
    "Token is invalid.",
    "Token is expired.",
    "Token has wrong type.",
    "Token contains no login id.",
    "The login of this token has ended.",
    "This token was revoked.",
}
REFRESH = "/api/v1/auth/refresh"


@pytest.fixture
def pair(api: APIClient, owner: User) -> dict[str, str]:
    return api.post("/api/v1/auth/login", {"username": "owner", "password": PASSWORD}).json()


def get_status(token: str) -> int:
    client = APIClient(raise_request_exception=False)
    return client.get(ME, headers={"authorization": f"Bearer {token}"}).status_code


def forge_token(
    token: str, key: str | None = None, algorithm: str = "HS256", **changes: Any
) -> str:
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key or django_settings.SECRET_KEY, algorithm=algorithm)


class TestAccessToken:
    def test_a_valid_token_authenticates(self, pair: dict) -> None:
        assert get_status(pair["access_token"]) == 200

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_the_scheme_is_accepted_in_any_letter_case(
        self, pair: dict, api: APIClient, scheme: str
    ) -> None:
        headers = {"authorization": f"{scheme} {pair['access_token']}"}
        assert api.get(ME, headers=headers).status_code == 200

    def test_authentication_needs_one_query(self, pair: dict, count_queries: Any) -> None:
        assert count_queries(lambda: get_status(pair["access_token"])) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"exp": 1_600_000_000},
            {"nbf": 4_000_000_000},
            {"aud": "other"},
            {"aud": None},
            {"iss": "other"},
            {"iss": None},
            {"type": "refresh"},
            {"type": None},
            {"exp": None},
            {"ver": 7},
            {"sid": "0" * 8 + "-0000-7000-8000-" + "0" * 12},
            {"sid": "nonsense"},
            {"sid": None},
            {"sub": "0" * 8 + "-0000-7000-8000-" + "0" * 12},
            {"sub": "a\x00b"},
        ],
        ids=str,
    )
    def test_wrong_claims_are_refused(self, pair: dict, changes: dict) -> None:
        assert get_status(forge_token(pair["access_token"], **changes)) == 401

    def test_an_unsigned_token_is_refused(self, pair: dict) -> None:
        claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
        assert get_status(jwt.encode(claims, None, algorithm="none")) == 401

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_another_algorithm_is_refused(self, pair: dict, algorithm: str) -> None:
        key = django_settings.SECRET_KEY
        assert get_status(forge_token(pair["access_token"], key, algorithm)) == 401

    def test_another_key_is_refused(self, pair: dict) -> None:
        assert (
            get_status(forge_token(pair["access_token"], "another-key-of-at-least-32-characters"))
            == 401
        )

    @pytest.mark.parametrize("name", ["exp", "iat", "nbf", "sid", "sub", "type", "jti", "ver"])
    @pytest.mark.parametrize("value", [10**20, -(10**20), 1e300, "x", [], {}, True], ids=str)
    def test_claims_of_a_wrong_type_are_refused_in_plain_words(
        self, pair: dict, name: str, value: Any
    ) -> None:
        token = forge_token(pair["access_token"], **{name: value})
        response = APIClient().get(ME, headers={"authorization": f"Bearer {token}"})
        if response.status_code == 200:  # a claim that says nothing about validity
            assert name in ("iat", "jti", "nbf")
        else:
            assert response.status_code == 401
            assert response.json()["detail"] in PLAIN_WORDS

    @pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "e30.e30.e30", "A" * 7000])
    def test_malformed_tokens_are_refused(self, db: None, token: str) -> None:
        assert get_status(token) == 401

    def test_a_refresh_token_does_not_authenticate(self, pair: dict) -> None:
        assert get_status(pair["refresh_token"]) == 401

    def test_a_token_signed_with_a_fallback_key_is_accepted(
        self, pair: dict, settings: Any
    ) -> None:
        old = forge_token(pair["access_token"], "yesterdays-key-of-at-least-32-characters")
        assert get_status(old) == 401
        settings.SECRET_KEY_FALLBACKS = ["yesterdays-key-of-at-least-32-characters"]
        assert get_status(old) == 200


def test_the_error_has_a_code_and_a_sentence(pair: dict) -> None:
    client = APIClient(raise_request_exception=False)
    response = client.get(ME, headers={"authorization": "Bearer nonsense"})
    assert response.json()["code"] == "invalid_token"
    assert response.json()["detail"] == "Token is invalid."


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        (" ", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("Basic YTpi", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("nonsense", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("Bearernonsense", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("é", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("日本 x", "Use the scheme Bearer: `Authorization: Bearer <access token>`."),
        ("Bearer", "The Authorization header contains no token after `Bearer`."),
        ("bearer ", "The Authorization header contains no token after `Bearer`."),
        ("Bearer a b", "The Authorization header contains more than one token."),
        ("Bearer a, Bearer b", "The Authorization header contains more than one token."),
        ("Bearer é", "Token is invalid."),
        ("Bearer \x00", "Token is invalid."),
        ("Bearer e30.e30.e30", "Token is invalid."),
        ("Bearer " + "a" * 8000, "Token is invalid."),
    ],
)
def test_a_malformed_header_is_explained(db: None, header: str, detail: str) -> None:
    client = APIClient(raise_request_exception=False)
    for method in ("get", "post"):
        response = getattr(client, method)("/api/v1/notes", HTTP_AUTHORIZATION=header)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="bureau"'
        assert response.json()["detail"] == detail
        assert response.json()["code"] == "invalid_token"


def test_a_public_route_ignores_the_header(db: None) -> None:
    client = APIClient(raise_request_exception=False)
    assert client.get("/api/v1/products", HTTP_AUTHORIZATION="Bearer a b").status_code == 200


class TestAccessEnds:
    def test_when_the_user_is_deactivated(self, pair: dict, owner: User, admin: User) -> None:
        services.deactivate_user(owner, by=admin)
        assert get_status(pair["access_token"]) == 401

    def test_when_the_user_is_deleted(self, pair: dict, owner: User) -> None:
        User.objects.filter(pk=owner.pk).soft_delete()
        assert get_status(pair["access_token"]) == 401

    def test_when_the_user_row_is_deleted(self, pair: dict, owner: User) -> None:
        owner.delete()
        assert get_status(pair["access_token"]) == 401

    def test_when_the_company_is_deactivated(self, pair: dict, company: Company) -> None:
        Company.objects.filter(pk=company.pk).update(is_active=False)
        assert get_status(pair["access_token"]) == 401

    def test_when_the_user_logs_out(self, pair: dict, api: APIClient) -> None:
        headers = {"authorization": f"Bearer {pair['access_token']}"}
        assert api.post("/api/v1/auth/logout", headers=headers).status_code == 204
        assert get_status(pair["access_token"]) == 401
        assert api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).status_code == 401

    def test_logout_does_not_end_another_login(
        self, pair: dict, api: APIClient, as_user: Any, owner: User
    ) -> None:
        other = as_user(owner)
        api.post("/api/v1/auth/logout", headers={"authorization": f"Bearer {pair['access_token']}"})
        assert other.get(ME).status_code == 200


class TestRefreshToken:
    def test_returns_a_new_pair(self, pair: dict, api: APIClient) -> None:
        response = api.post(REFRESH, {"refresh_token": pair["refresh_token"]})
        assert response.status_code == 200
        assert set(response.json()) == set(pair)
        assert response.json()["refresh_token"] != pair["refresh_token"]
        assert get_status(response.json()["access_token"]) == 200

    def test_an_immediate_repeat_returns_the_same_token(self, pair: dict, api: APIClient) -> None:
        first, second = (
            api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).json() for _ in range(2)
        )
        assert first["refresh_token"] == second["refresh_token"]

    def test_late_reuse_of_a_token_ends_its_login(self, pair: dict, api: APIClient) -> None:
        successor = api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).json()
        Login.objects.update(rotated_at=timezone.now() - timedelta(seconds=11))
        assert api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).status_code == 401
        assert api.post(REFRESH, {"refresh_token": successor["refresh_token"]}).status_code == 401
        assert get_status(successor["access_token"]) == 401

    def test_reuse_of_an_older_token_ends_the_login_immediately(
        self, pair: dict, api: APIClient
    ) -> None:
        second = api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).json()
        api.post(REFRESH, {"refresh_token": second["refresh_token"]})
        assert api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).status_code == 401
        assert Login.objects.get().ended_at is not None

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", 7, None, []])
    def test_malformed_tokens_are_refused(self, api: APIClient, token: Any) -> None:
        assert api.post(REFRESH, {"refresh_token": token}).status_code in (400, 401)

    def test_a_token_that_is_no_text_is_refused_in_plain_words(self, api: APIClient) -> None:
        body = '{"refresh_token": "\\ud800.x.y"}'
        response = api.post(REFRESH, body, content_type="application/json")
        assert response.status_code in (400, 401)
        assert "codec" not in response.json()["detail"]

    def test_refreshes_are_limited_per_login(
        self, pair: dict, api: APIClient, settings: Any
    ) -> None:
        settings.API_RATE_LIMIT = "3/minute"
        responses = [
            api.post(REFRESH, {"refresh_token": pair["refresh_token"]}, REMOTE_ADDR=f"10.0.0.{n}")
            for n in range(5)
        ]
        assert [response.status_code for response in responses] == [200] * 3 + [429] * 2

    def test_refreshes_with_invalid_tokens_are_limited(self, api: APIClient) -> None:
        statuses = [api.post(REFRESH, {"refresh_token": "x"}).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2

    def test_an_access_token_does_not_refresh(self, pair: dict, api: APIClient) -> None:
        assert api.post(REFRESH, {"refresh_token": pair["access_token"]}).status_code == 401

    def test_a_token_of_a_deleted_user_is_refused(
        self, pair: dict, api: APIClient, owner: User
    ) -> None:
        owner.delete()
        assert api.post(REFRESH, {"refresh_token": pair["refresh_token"]}).status_code == 401

    def test_an_expired_token_is_refused(self, pair: dict, api: APIClient) -> None:
        token = forge_token(pair["refresh_token"], exp=int(time.time()) - 1)
        assert api.post(REFRESH, {"refresh_token": token}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_parallel_refreshes_one_starts_a_new_generation(pair: dict) -> None:
    def refresh(_: int) -> tuple[int, str]:
        try:
            client = APIClient(raise_request_exception=False)
            response = client.post(REFRESH, {"refresh_token": pair["refresh_token"]})
            return response.status_code, response.json().get("refresh_token")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        responses = set(threads.map(refresh, range(100)))
    assert len(responses) == 1
    assert responses.pop()[0] == 200
    assert Login.objects.get().generation == 2
