"""`GET /posts` and `GET /posts/{id}`: public posts and their freshness headers."""

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
from posts.tests.conftest import FeedServer, entry

Refresh = Callable[[], Feed]

URL = "/api/v1/posts"
# For tests of the cache, which is invalidated when a change commits.
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mirrored_feed(feed_server: FeedServer, refresh: Refresh) -> FeedServer:
    refresh()
    return feed_server


def listed_ids(api: APIClient, **parameters: Any) -> list[int]:
    response = api.get(URL, {"page_size": 100, **parameters})
    assert response.status_code == 200, response.content
    return [post["id"] for post in response.json()["items"]]


def pass_time(seconds: float) -> None:
    with invalidate_on_commit("posts"):
        Feed.objects.update(fresh_at=F("fresh_at") - timedelta(seconds=seconds))


def freshness_headers(response: Any) -> tuple[int, str]:
    assert response.status_code in (200, 304, 404), response.content
    return int(response["Age"]), response["X-Feed-Status"]


class TestList:
    def test_a_page_has_the_usual_envelope(self, api: APIClient, mirrored_feed: FeedServer) -> None:
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

    def test_filters_restrict_the_list(self, api: APIClient, mirrored_feed: FeedServer) -> None:
        assert listed_ids(api, user_id=1) == [3, 6, 9, 12]
        assert listed_ids(api, user_id=99) == listed_ids(api, user_id=10**30) == []
        assert listed_ids(api, search="TITLE 1") == [1, 10, 11, 12]
        assert listed_ids(api, search="body 2") == [2]
        assert listed_ids(api, search="%") == listed_ids(api, search="_") == []
        assert listed_ids(api, search="title", user_id=2) == [1, 4, 7, 10]

    def test_ordering_may_be_descending(self, api: APIClient, mirrored_feed: FeedServer) -> None:
        assert listed_ids(api, ordering="-id") == list(range(12, 0, -1))
        assert listed_ids(api, ordering="user_id")[:4] == [12, 9, 6, 3]

    @pytest.mark.parametrize(
        ("name", "alias", "value"),
        [("search", "q", "title 1"), ("ordering", "sort_by", "-id")],
    )
    def test_both_names_of_a_parameter_work(
        self, api: APIClient, mirrored_feed: FeedServer, name: str, alias: str, value: Any
    ) -> None:
        assert listed_ids(api, **{name: value}) == listed_ids(api, **{alias: value})

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
    def test_an_invalid_parameter_is_named(
        self, api: APIClient, mirrored_feed: FeedServer, field: str, value: str
    ) -> None:
        response = api.get(URL, {field: value})
        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == [field]

    def test_all_invalid_parameters_are_named(
        self, api: APIClient, mirrored_feed: FeedServer
    ) -> None:
        errors = api.get(URL, {"user_id": "x", "ordering": "body"}).json()["errors"]
        assert [error["field"] for error in errors] == ["user_id", "ordering"]

    def test_the_query_count_does_not_grow_with_the_posts(
        self, api: APIClient, feed_server: FeedServer, refresh: Refresh, count_queries: Any
    ) -> None:
        counts = []
        for number in (1, 30):
            feed_server.posts = [entry(n) for n in range(1, number + 1)]
            refresh()
            counts.append(count_queries(lambda: api.get(URL, {"page_size": 50})))
        assert counts[0] == counts[1] == 3


class TestDetail:
    def test_returns_the_post_under_both_prefixes(
        self, api: APIClient, mirrored_feed: FeedServer
    ) -> None:
        assert api.get(f"{URL}/3").json()["title"] == "Title 3"
        assert api.get("/api/posts/3/").json()["id"] == 3

    @pytest.mark.parametrize("pk", ["99", "0", "-1", "x", "9" * 30, "9" * 5000, "1.5"])
    def test_an_unknown_id_is_not_found(
        self, api: APIClient, mirrored_feed: FeedServer, pk: str
    ) -> None:
        response = api.get(f"{URL}/{pk}")
        assert (response.status_code, response.json()["status"]) == (404, 404)


def test_writing_is_not_allowed(api: APIClient, mirrored_feed: FeedServer) -> None:
    for path in (URL, f"{URL}/1"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(api, method)(path, {"title": "x"}).status_code == 405


def test_an_invalid_token_is_ignored(api: APIClient, mirrored_feed: FeedServer) -> None:
    assert api.get(URL, headers={"authorization": "Bearer wrong"}).status_code == 200


def test_a_browser_gets_an_html_page(api: APIClient, mirrored_feed: FeedServer) -> None:
    response = api.get(URL, headers={"accept": "text/html"})
    assert response["Content-Type"].startswith("text/html")
    assert freshness_headers(response) == (0, "fresh")


@committed
class TestFreshness:
    def test_every_answer_has_the_headers(self, api: APIClient, mirrored_feed: FeedServer) -> None:
        for path in (URL, f"{URL}/1", f"{URL}?search=x", f"{URL}/99"):
            for _ in range(2):
                assert freshness_headers(api.get(path)) == (0, "fresh")
                assert freshness_headers(api.head(path)) == (0, "fresh")

    def test_the_age_grows_on_hits_and_304s(
        self, api: APIClient, mirrored_feed: FeedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = api.get(URL)
        now = freshness.time.time() + 100
        monkeypatch.setattr(freshness.time, "time", lambda: now)
        second = api.get(URL)
        assert second["X-Cache"] == "hit"
        assert 100 <= freshness_headers(second)[0] <= 101
        third = api.get(URL, headers={"if-none-match": first["ETag"]})
        assert (third.status_code, third.content) == (304, b"")
        assert freshness_headers(third) == freshness_headers(second)

    def test_a_failing_feed_is_stale(
        self, api: APIClient, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        api.get(URL)
        mirrored_feed.respond_with(b"", 500)
        refresh()
        pass_time(60)
        for status in ("miss", "hit"):
            response = api.get(URL)
            assert response["X-Cache"] == status
            assert freshness_headers(response) == (60, "stale")
            assert response.json()["total"] == 12

    def test_a_recovered_feed_is_fresh(
        self, api: APIClient, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        mirrored_feed.respond_with(b"", 500)
        refresh()
        assert freshness_headers(api.get(URL))[1] == "stale"
        mirrored_feed.handler = None
        refresh()
        assert freshness_headers(api.get(URL)) == (0, "fresh")

    def test_an_unchanged_feed_is_fresh(
        self, api: APIClient, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        pass_time(100)
        etag = api.get(URL)["ETag"]
        refresh()
        response = api.get(URL)
        assert (response["ETag"], *freshness_headers(response)) == (etag, 0, "fresh")

    def test_a_mirror_that_is_not_refreshed_is_stale(
        self, api: APIClient, mirrored_feed: FeedServer
    ) -> None:
        pass_time(601)
        assert freshness_headers(api.get(URL))[1] == "stale"


@committed
def test_the_next_read_shows_a_change(
    api: APIClient, mirrored_feed: FeedServer, refresh: Refresh
) -> None:
    api.get(f"{URL}/1")
    mirrored_feed.posts[0]["title"] = "New"
    refresh()
    assert api.get(f"{URL}/1").json()["title"] == "New"


def test_posts_of_the_real_feed_are_served(
    api: APIClient, feed_server: FeedServer, refresh: Refresh
) -> None:
    """The hundred posts of the public feed (typicode/jsonplaceholder, MIT)."""
    feed = Path(__file__).with_name("feed.json").read_bytes()
    feed_server.respond_with(feed)
    assert refresh().post_count == 100
    names = {"id": "id", "userId": "user_id", "title": "title", "body": "body"}
    for post in json.loads(feed):
        body = api.get(f"{URL}/{post['id']}").json()
        assert {name: body[column] for name, column in names.items()} == post
    assert listed_ids(api, search="qui est esse") == [2]


@committed
class TestFirstRequest:
    def test_fetches_the_posts(self, api: APIClient, feed_server: FeedServer) -> None:
        assert listed_ids(api) == list(range(1, 13))
        assert len(feed_server.requests) == 1

    def test_without_a_mirror_the_answer_is_503(
        self, api: APIClient, feed_server: FeedServer
    ) -> None:
        feed_server.respond_with(b"", 503, Retry_After="60")
        for path in (URL, f"{URL}/1"):
            response = api.get(path)
            assert response.status_code == 503
            assert response["Content-Type"] == "application/problem+json"
            assert response.json()["code"] == "feed_unavailable"
            assert 55 <= int(response["Retry-After"]) <= 60
            assert "X-Feed-Status" not in response
        # Until then requests do not wait, and the feed is not requested.
        assert len(feed_server.requests) == 1
        Feed.objects.update(run_after=Now())
        feed_server.handler = None
        assert len(listed_ids(api)) == 12

    def test_requests_share_the_refresh_of_a_slow_feed(
        self, api: APIClient, feed_server: FeedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        feed_server.delay = 0.5
        monkeypatch.setattr(services, "FIRST_REFRESH_TIMEOUT_S", 0.2)
        assert api.get(URL).status_code == 503
        # A second request waits for the same refresh.
        monkeypatch.setattr(services, "FIRST_REFRESH_TIMEOUT_S", 3.0)
        assert len(listed_ids(api)) == 12
        assert len(feed_server.requests) == 1


@committed
class TestWithoutFeed:
    def test_there_are_no_posts_and_nothing_is_fetched(
        self, api: APIClient, no_feed: FeedServer
    ) -> None:
        for _ in range(2):
            response = api.get(URL)
            assert (response.status_code, response.json()["items"]) == (200, [])
            assert "Age" not in response
            assert "X-Feed-Status" not in response
        assert api.get(f"{URL}/1").status_code == 404
        assert no_feed.requests == []
        assert Feed.objects.current() is None

    def test_the_posts_of_an_earlier_feed_are_not_served(
        self, api: APIClient, mirrored_feed: FeedServer, settings: Any
    ) -> None:
        settings.POSTS_API_URL = ""
        assert listed_ids(api) == []
        assert api.get(f"{URL}/3").status_code == 404
