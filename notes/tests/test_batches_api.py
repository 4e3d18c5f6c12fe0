from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from common.ids import uuid7
from common.jobs.status import JobStatus
from common.tests.support.ai_provider import FakeProvider, fail
from notes.models import Batch, Summary

pytestmark = pytest.mark.django_db
CREATE_URL = "/api/v1/summaries/batch"
URL = "/api/v1/summaries/batches"
TEXTS = ["The first pump failed.", "The second pump runs.", "The third pump is new."]

Json = dict[str, Any]


@pytest.fixture
def client(as_user: Any, owner: User) -> APIClient:
    return as_user(owner)


@pytest.fixture
def batch(client: APIClient) -> Json:
    return client.post(CREATE_URL, {"texts": TEXTS, "template": "bullets"}).json()


@pytest.fixture
def get_batch(client: APIClient) -> Callable[[Json], Json]:
    """Fetch a batch and check that its counts add up."""

    def get_consistent(batch: Json) -> Json:
        body = client.get(f"{URL}/{batch['id']}").json()
        assert sum(body["counts"].values()) == body["total"] == len(body["items"])
        return body

    return get_consistent


def counts(**expected: int) -> dict[str, int]:
    return dict.fromkeys(JobStatus.values, 0) | expected


class TestCreate:
    def test_returns_the_queued_texts_in_order(self, client: APIClient) -> None:
        response = client.post(CREATE_URL, {"texts": TEXTS, "max_words": 30, "language": "de"})
        assert response.status_code == 202
        body = response.json()
        assert (body["status"], body["total"], body["progress"]) == ("queued", 3, 0)
        assert body["counts"] == counts(queued=3)
        assert (body["template"], body["language"], body["max_words"]) == ("paragraph", "de", 30)
        assert [item["index"] for item in body["items"]] == [0, 1, 2]
        assert [item["text_length"] for item in body["items"]] == [len(text) for text in TEXTS]
        assert {item["status"] for item in body["items"]} == {"queued"}

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, [("texts", "required")]),
            ({"texts": []}, [("texts", "min_length")]),
            ({"texts": "text"}, [("texts", "not_a_list")]),
            ({"texts": ["x"] * 101}, [("texts", "max_length")]),
            (
                {"texts": ["a", "b", "c", " ", "e", ""]},
                [("texts.3", "blank"), ("texts.5", "blank")],
            ),
            ({"texts": ["a", None, {}]}, [("texts.1", "null"), ("texts.2", "invalid")]),
            ({"texts": ["a", 5]}, [("texts.1", "invalid")]),
            ({"texts": ["a", "b\0"]}, [("texts.1", "null_characters_not_allowed")]),
            (
                {"texts": ["a", ""], "template": "poem", "max_words": 0, "text": "x"},
                [
                    ("texts.1", "blank"),
                    ("template", "does_not_exist"),
                    ("max_words", "min_value"),
                    ("text", "unknown_field"),
                ],
            ),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_an_invalid_body_is_refused_with_the_position_of_each_text(
        self, client: APIClient, body: dict, wrong: Any
    ) -> None:
        response = client.post(CREATE_URL, body)
        assert response.status_code == 400
        found = [(error["field"], error["code"]) for error in response.json()["errors"]]
        assert sorted(found) == sorted(wrong)
        assert not Batch.objects.exists()

    def test_the_number_of_queries_does_not_depend_on_the_number_of_texts(
        self, client: APIClient, count_queries: Any
    ) -> None:
        expected_queries = count_queries(lambda: client.post(CREATE_URL, {"texts": ["One."]}))
        many = [f"Text {number}." for number in range(100)]
        assert count_queries(lambda: client.post(CREATE_URL, {"texts": many})) == expected_queries
        assert Summary.objects.count() == 101

    def test_a_repeated_idempotency_key_creates_one_batch(self, client: APIClient) -> None:
        key = {"headers": {"Idempotency-Key": "k"}}
        first, second = (client.post(CREATE_URL, {"texts": TEXTS}, **key) for _ in range(2))
        assert first.json() == second.json()
        assert Batch.objects.count() == 1

    def test_a_batch_counts_as_one_request_for_the_rate_limit(
        self, client: APIClient, settings: Any
    ) -> None:
        settings.RATE_LIMIT_PER_MINUTE = "2"
        responses = [client.post(CREATE_URL, {"texts": TEXTS}) for _ in range(3)]
        assert [response.status_code for response in responses] == [202, 202, 429]

    def test_a_worker_account_is_forbidden(self, as_user: Any, worker_account: User) -> None:
        assert as_user(worker_account).post(CREATE_URL, {"texts": TEXTS}).status_code == 403


class TestProgress:
    def test_grows_until_all_texts_are_completed(
        self, batch: Json, get_batch: Any, run: Any
    ) -> None:
        for done, item in enumerate(batch["items"], start=1):
            assert run(item["id"]).status == JobStatus.COMPLETED
            body = get_batch(batch)
            assert body["counts"] == counts(queued=3 - done, completed=done)
            assert body["progress"] == pytest.approx(done / 3, abs=0.001)
            assert body["status"] == ("in_progress" if done < 3 else "completed")
        assert [item["summary"][:2] for item in body["items"]] == ["- "] * 3
        assert body["started_at"] <= body["finished_at"]

    def test_a_retry_requeues_only_the_failed_text(
        self, client: APIClient, batch: Json, get_batch: Any, run: Any, provider: FakeProvider
    ) -> None:
        second = batch["items"][1]["id"]
        for item in batch["items"]:
            if item["id"] == second:
                provider.then(fail(401))
            run(item["id"])
        body = get_batch(batch)
        assert (body["status"], body["counts"]) == ("completed", counts(completed=2, failed=1))
        assert (
            body["items"][1]["error"]
            == "the provider refused our key (401): OPENAI_API_KEY is wrong or missing"
        )
        response = client.post(f"{URL}/{batch['id']}/retry")
        assert response.status_code == 202
        assert response.json()["counts"] == counts(completed=2, queued=1)
        run(second)
        assert get_batch(batch)["counts"] == counts(completed=3)
        assert len(provider.requests) == 4
        again = client.post(f"{URL}/{batch['id']}/retry")
        assert (again.status_code, again.json()["code"]) == (409, "nothing_failed")

    def test_cancel_keeps_the_completed_summaries(
        self, client: APIClient, batch: Json, get_batch: Any, run: Any
    ) -> None:
        run(batch["items"][0]["id"])
        running = Summary.objects.claim(batch["items"][1]["id"])
        response = client.post(f"{URL}/{batch['id']}/cancel")
        assert response.status_code == 202
        assert response.json()["counts"] == counts(completed=1, cancelled=2)
        assert running.finish(summary="Too late.") is False
        body = get_batch(batch)
        assert (body["status"], body["progress"]) == ("completed", 1)
        again = client.post(f"{URL}/{batch['id']}/cancel")
        assert (again.status_code, again.json()["code"]) == (409, "already_ended")
        assert client.post(f"{URL}/{batch['id']}/retry").status_code == 409

    def test_a_batch_without_any_summary_ends_as_cancelled(
        self, client: APIClient, batch: Json, get_batch: Any
    ) -> None:
        client.post(f"{URL}/{batch['id']}/cancel")
        assert get_batch(batch)["status"] == "cancelled"

    def test_a_deleted_text_is_no_longer_counted(
        self, client: APIClient, batch: Json, get_batch: Any
    ) -> None:
        assert client.delete(f"/api/v1/summaries/{batch['items'][0]['id']}").status_code == 204
        assert get_batch(batch)["total"] == 2

    def test_a_batch_without_texts_keeps_its_times(
        self, client: APIClient, batch: Json, get_batch: Any
    ) -> None:
        for item in batch["items"]:
            client.delete(f"/api/v1/summaries/{item['id']}")
        in_list = client.get(URL).json()["items"][0]
        for body in (get_batch(batch), in_list):
            assert (body["total"], body["status"]) == (0, "completed")
            assert body["updated_at"] >= body["created_at"]


class TestVisibility:
    def statuses(self, client: APIClient, batch: Json) -> list[int]:
        url = f"{URL}/{batch['id']}"
        return [
            client.get(url).status_code,
            client.post(f"{url}/retry").status_code,
            client.post(f"{url}/cancel").status_code,
        ]

    @pytest.mark.parametrize("user_name", ["owner", "admin", "superuser"])
    def test_users_who_see_the_batch_can_use_every_action(
        self, as_user: Any, batch: Json, user_name: str, request: pytest.FixtureRequest
    ) -> None:
        assert self.statuses(as_user(request.getfixturevalue(user_name)), batch) == [200, 409, 202]

    @pytest.mark.parametrize("user_name", ["colleague", "outsider", "worker_account"])
    def test_the_batch_does_not_exist_for_other_users(
        self, as_user: Any, batch: Json, user_name: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(user_name))
        assert self.statuses(client, batch) == [404] * 3
        assert self.statuses(client, {"id": uuid7()}) == [404] * 3
        if user_name != "worker_account":
            assert client.get(URL).json()["items"] == []

    def test_anonymous_requests_get_401(self, api: APIClient, batch: Json) -> None:
        assert self.statuses(api, batch) == [401] * 3


class TestList:
    def test_returns_counts_with_the_newest_batch_first(
        self, client: APIClient, batch: Json, run: Any
    ) -> None:
        run(batch["items"][0]["id"])
        newer = client.post(CREATE_URL, {"texts": ["One."]}).json()
        first, second = client.get(URL).json()["items"]
        assert (first["id"], first["counts"]) == (newer["id"], counts(queued=1))
        assert (second["id"], second["counts"]) == (batch["id"], counts(queued=2, completed=1))
        assert "items" not in first
        summaries = client.get("/api/v1/summaries", {"batch_id": batch["id"]}).json()
        assert summaries["total"] == 3

    def test_the_number_of_queries_does_not_depend_on_the_number_of_batches(
        self, client: APIClient, owner: User, batch: Json, count_queries: Any
    ) -> None:
        expected_queries = count_queries(lambda: client.get(URL, {"page_size": 100}))
        detail_queries = count_queries(lambda: client.get(f"{URL}/{batch['id']}"))
        for _ in range(30):
            more = Batch.objects.create(company=owner.company, user=owner, template="paragraph")
            Summary.objects.create(company=owner.company, user=owner, batch=more, index=0)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == expected_queries
        assert count_queries(lambda: client.get(f"{URL}/{batch['id']}")) == detail_queries
