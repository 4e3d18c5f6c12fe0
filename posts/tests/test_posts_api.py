"""`GET /posts` and `GET /posts/{id}`: the feed's posts for everybody, as fresh as they say."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.test import APIClient

from common.caching.invalidation import invalidate_on_commit
from posts import freshness, services
from posts.models import Feed
from posts.tests.conftest import Upstream, entry

Refresh = Callable[[], Feed]

URL = "/api/v1/posts"
# For what the cache answers; it hears of a change when that is committed.
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mirrored(upstream: Upstream, refresh: Refresh) -> Upstream:
    refresh()
    return upstream


def listed(api: APIClient, **parameters: Any) -> list[int]:
    response = api.get(URL, {"page_size": 100, **parameters})
    assert response.status_code == 200, response.content
    return [post["id"] for post in response.json()["items"]]


def pass_time(seconds: float) -> None:
    with invalidate_on_commit("posts"):
        Feed.objects.update(fresh_at=F("fresh_at") - timedelta(seconds=seconds))


def told(response: Any) -> tuple[int, str]:
    assert response.status_code in (200, 304, 404), response.content
    return int(response["Age"]), response["X-Feed-Status"]


class TestList:
    def test_envelope(self, api: APIClient, mirrored: Upstream) -> None:
        body = api.get(URL, {"page": 2, "per_page": 5}).json()
        items = body.pop("items")
        assert body == {"total": 12, "page": 2, "page_size": 5, "total_pages": 3}
        assert [post["id"] for post in items] == [6, 7, 8, 9, 10]
        assert set(items[0]) == {"id", "user_id", "title", "body", "created_at", "updated_at"}
        assert [items[0][name] for name in ("id", "user_id", "title", "body")] == [
            6,
            1,
            "Title 6",
            "Body 6",
        ]

    def test_filters(self, api: APIClient, mirrored: Upstream) -> None:
        assert listed(api, user_id=1) == [3, 6, 9, 12]
        assert listed(api, user_id=99) == listed(api, user_id=10**30) == []
        assert listed(api, search="TITLE 1") == [1, 10, 11, 12]
        assert listed(api, search="body 2") == [2]
        assert listed(api, search="%") == listed(api, search="_") == []
        assert listed(api, search="title", user_id=2) == [1, 4, 7, 10]

    def test_ordering(self, api: APIClient, mirrored: Upstream) -> None:
        assert listed(api, ordering="-id") == list(range(12, 0, -1))
        assert listed(api, ordering="user_id")[:4] == [12, 9, 6, 3]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("user_id", "x"),
            ("user_id", "1.5"),
            ("search", "\0"),
            ("ordering", "body"),
            ("page", "0"),
            ("page_size", "-1"),
        ],
    )
    def test_bad_input(self, api: APIClient, mirrored: Upstream, field: str, value: str) -> None:
        response = api.get(URL, {field: value})
        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == [field]

    def test_all_that_is_wrong_is_named(self, api: APIClient, mirrored: Upstream) -> None:
        errors = api.get(URL, {"user_id": "x", "ordering": "body"}).json()["errors"]
        assert [error["field"] for error in errors] == ["user_id", "ordering"]

    def test_queries(
        self, api: APIClient, upstream: Upstream, refresh: Refresh, queries: Any
    ) -> None:
        counts = []
        for number in (1, 30):
            upstream.posts = [entry(n) for n in range(1, number + 1)]
            refresh()
            counts.append(queries(lambda n=number: api.get(URL, {"page_size": 50, "x": n})))
        assert counts[0] == counts[1] == 3


class TestDetail:
    def test_one(self, api: APIClient, mirrored: Upstream) -> None:
        assert api.get(f"{URL}/3").json()["title"] == "Title 3"
        assert api.get("/api/posts/3/").json()["id"] == 3

    @pytest.mark.parametrize("pk", ["99", "0", "-1", "x", "9" * 30, "9" * 5000, "1.5"])
    def test_none(self, api: APIClient, mirrored: Upstream, pk: str) -> None:
        response = api.get(f"{URL}/{pk}")
        assert (response.status_code, response.json()["status"]) == (404, 404)


def test_nobody_writes(api: APIClient, mirrored: Upstream) -> None:
    for path in (URL, f"{URL}/1"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(api, method)(path, {"title": "x"}).status_code == 405


def test_a_token_is_not_looked_at(api: APIClient, mirrored: Upstream) -> None:
    assert api.get(URL, headers={"authorization": "Bearer wrong"}).status_code == 200


def test_the_page_for_people(api: APIClient, mirrored: Upstream) -> None:
    response = api.get(URL, headers={"accept": "text/html"})
    assert response["Content-Type"].startswith("text/html")
    assert told(response) == (0, "fresh")


@committed
class TestFreshness:
    def test_is_told_by_every_answer(self, api: APIClient, mirrored: Upstream) -> None:
        for path in (URL, f"{URL}/1", f"{URL}?search=x", f"{URL}/99"):
            for _ in range(2):
                assert told(api.get(path)) == (0, "fresh")
                assert told(api.head(path)) == (0, "fresh")

    def test_age_grows_on_hits_and_304s(
        self, api: APIClient, mirrored: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = api.get(URL)
        now = freshness.time.time() + 100
        monkeypatch.setattr(freshness.time, "time", lambda: now)
        second = api.get(URL)
        assert second["X-Cache"] == "hit"
        assert 100 <= told(second)[0] <= 101
        third = api.get(URL, headers={"if-none-match": first["ETag"]})
        assert (third.status_code, third.content) == (304, b"")
        assert told(third) == told(second)

    def test_failing(self, api: APIClient, mirrored: Upstream, refresh: Refresh) -> None:
        api.get(URL)
        mirrored.say(b"", 500)
        refresh()
        pass_time(60)
        for how in ("miss", "hit"):
            response = api.get(URL)
            assert response["X-Cache"] == how
            assert told(response) == (60, "stale")
            assert response.json()["total"] == 12

    def test_well_again(self, api: APIClient, mirrored: Upstream, refresh: Refresh) -> None:
        mirrored.say(b"", 500)
        refresh()
        assert told(api.get(URL))[1] == "stale"
        mirrored.answer = None
        refresh()
        assert told(api.get(URL)) == (0, "fresh")

    def test_not_modified_is_fresh(
        self, api: APIClient, mirrored: Upstream, refresh: Refresh
    ) -> None:
        pass_time(100)
        etag = api.get(URL)["ETag"]
        refresh()
        response = api.get(URL)
        assert (response["ETag"], *told(response)) == (etag, 0, "fresh")

    def test_nobody_refreshes(self, api: APIClient, mirrored: Upstream) -> None:
        pass_time(601)
        assert told(api.get(URL))[1] == "stale"


@committed
def test_changes_show_at_once(api: APIClient, mirrored: Upstream, refresh: Refresh) -> None:
    api.get(f"{URL}/1")
    mirrored.posts[0]["title"] = "New"
    refresh()
    assert api.get(f"{URL}/1").json()["title"] == "New"


def test_the_real_feed(api: APIClient, upstream: Upstream, refresh: Refresh) -> None:
    """A hundred posts as the public feed serves them (typicode/jsonplaceholder, MIT)."""
    feed = Path(__file__).with_name("feed.json").read_bytes()
    upstream.say(feed)
    assert refresh().posts == 100
    names = {"id": "id", "userId": "user_id", "title": "title", "body": "body"}
    for post in json.loads(feed):
        shown = api.get(f"{URL}/{post['id']}").json()
        assert {name: shown[ours] for name, ours in names.items()} == post
    assert listed(api, search="qui est esse") == [2]


@committed
class TestFirstRequest:
    def test_fetches_the_posts(self, api: APIClient, upstream: Upstream) -> None:
        assert listed(api) == list(range(1, 13))
        assert len(upstream.requests) == 1

    def test_without_a_copy(self, api: APIClient, upstream: Upstream) -> None:
        upstream.say(b"", 503, Retry_After="60")
        for path in (URL, f"{URL}/1"):
            response = api.get(path)
            assert response.status_code == 503
            assert response["Content-Type"] == "application/problem+json"
            assert response.json()["code"] == "feed_unavailable"
            assert 55 <= int(response["Retry-After"]) <= 60
            assert "X-Feed-Status" not in response
        # Who comes before that time is not let wait, nor is the feed asked.
        assert len(upstream.requests) == 1
        Feed.objects.update(run_after=Now())
        upstream.answer = None
        assert len(listed(api)) == 12

    def test_a_slow_feed(
        self, api: APIClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upstream.delay = 0.5
        monkeypatch.setattr(services, "PATIENCE", 0.2)
        assert api.get(URL).status_code == 503
        # Who comes meanwhile waits for the same refresh.
        monkeypatch.setattr(services, "PATIENCE", 3.0)
        assert len(listed(api)) == 12
        assert len(upstream.requests) == 1
