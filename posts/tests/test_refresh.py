"""Whatever the feed does, the last good posts stay."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from werkzeug import Response

from common.jobs import runner
from common.jobs.status import JobStatus
from posts import services, tasks
from posts.models import WITHOUT_A_COPY, Feed, Post
from posts.tests.conftest import Upstream, entry

Refresh = Callable[[], Feed]

HUGE = "9" * 5000


@pytest.fixture
def mirrored(upstream: Upstream, refresh: Refresh) -> Upstream:
    """The feed, after a first good refresh."""
    assert refresh().status == JobStatus.COMPLETED
    assert Post.objects.count() == 12
    return upstream


def ids() -> list[int]:
    return list(Post.objects.values_list("id", flat=True))


def test_posts_are_taken_as_they_are(upstream: Upstream, refresh: Refresh) -> None:
    upstream.posts = [entry(7, title=" Ünï\n", body="", more="ignored")]
    feed = refresh()
    assert list(Post.objects.values("id", "user_id", "title", "body")) == [
        {"id": 7, "user_id": 2, "title": " Ünï\n", "body": ""}
    ]
    assert (feed.status, feed.posts, feed.refused, feed.failed_at) == ("completed", 1, 0, None)
    assert feed.fresh_at is not None


class TestChanges:
    def test_are_followed(self, mirrored: Upstream, refresh: Refresh) -> None:
        before = Post.objects.get(id=1)
        mirrored.posts = [entry(1), entry(2, title="Other"), *mirrored.posts[3:], entry(99)]
        refresh()
        assert ids() == [1, 2, *range(4, 13), 99]
        assert Post.objects.get(id=2).title == "Other"
        # What has not changed was not written.
        assert Post.objects.get(id=1).updated_at == before.updated_at

    def test_are_asked_for_only(self, mirrored: Upstream, refresh: Refresh) -> None:
        known = Feed.objects.state()
        feed = refresh()
        assert mirrored.requests[-1].headers["If-None-Match"] == feed.etag != ""
        assert feed.fresh_at > known.fresh_at
        assert ids() == list(range(1, 13))

    def test_of_the_address_begin_anew(
        self, mirrored: Upstream, refresh: Refresh, settings: Any
    ) -> None:
        settings.POSTS_API_URL += "?other"
        mirrored.posts = [entry(50)]
        refresh()
        assert "If-None-Match" not in mirrored.requests[-1].headers
        assert ids() == [50]


BAD_ANSWERS = {
    "empty list": b"[]",
    "no JSON": b"<html>",
    "cut off": json.dumps([entry(1)]).encode()[:-5],
    "nothing": b"",
    "an object": b'{"posts": []}',
    "null": b"null",
    "no UTF-8": b'["\xff"]',
    "deep": b"[" * 100_000,
    "a huge number": f'[{{"id": {HUGE}}}]'.encode(),
    "too many": json.dumps([entry(n) for n in range(1, 102)]).encode(),
    "too large": json.dumps([entry(1, more="x" * 50_000)]).encode(),
    "only bad ones": json.dumps([{"id": 1}, 3, None]).encode(),
    "more bad than good": json.dumps([entry(1), {}, {}]).encode(),
}


@pytest.mark.parametrize("body", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_what_can_not_be_taken(
    mirrored: Upstream, refresh: Refresh, settings: Any, body: bytes
) -> None:
    settings.POSTS_MAX_BYTES, settings.POSTS_MAX_COUNT = 30_000, 100
    fresh_at = Feed.objects.state().fresh_at
    mirrored.say(body)
    feed = refresh()
    assert ids() == list(range(1, 13))
    assert (feed.status, feed.fresh_at) == (JobStatus.QUEUED, fresh_at)
    assert feed.failed_at is not None
    assert feed.failure.startswith("The feed ")
    mirrored.answer = None
    feed = refresh()
    assert (feed.failed_at, feed.failure) == (None, "")


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"id": None},
        {"id": "3"},
        {"id": 3.0},
        {"id": True},
        {"id": 0},
        {"id": -1},
        {"id": 2**63},
        {"id": 1},
        {"userId": None},
        {"userId": 2**63},
        {"title": None},
        {"title": "nul \0"},
        {"title": "x" * 1001},
        {"body": ["x"]},
        {"body": "\ud800"},
        {"body": "x" * 100_001},
    ],
    ids=lambda bad: repr(bad)[:30],
)
def test_good_posts_are_taken_without_the_bad(
    mirrored: Upstream, refresh: Refresh, bad: dict[str, Any]
) -> None:
    item = entry(3, **bad) if bad else "no object"
    mirrored.posts = [entry(1, title="New"), entry(2), item]
    feed = refresh()
    assert Post.objects.get(id=1).title == "New"
    # What is missing may be among the bad, so nothing has gone.
    assert ids() == list(range(1, 13))
    assert (feed.status, feed.refused, feed.failed_at) == (JobStatus.COMPLETED, 1, None)


def test_a_feed_that_lost_most_of_its_posts_is_believed_the_third_time(
    mirrored: Upstream, refresh: Refresh
) -> None:
    mirrored.posts = [entry(1, title="New"), entry(2)]
    for _ in range(2):
        refresh()
        assert Post.objects.get(id=1).title == "New"
        assert ids() == list(range(1, 13))
    refresh()
    assert ids() == [1, 2]


class TestTrouble:
    @pytest.mark.parametrize("status", [400, 404, 500, 503, 304])
    def test_statuses(self, mirrored: Upstream, refresh: Refresh, status: int) -> None:
        Feed.objects.update(etag="")
        mirrored.say(b"[]", status)
        feed = refresh()
        assert (feed.failure, ids()) == (f"The feed answered {status}.", list(range(1, 13)))

    def test_a_feed_that_fails_at_first(self, upstream: Upstream, refresh: Refresh) -> None:
        def answer(_: Any) -> Response:
            upstream.answer = None
            return Response(b"", 503, {"Retry-After": "0"})

        upstream.answer = answer
        assert (refresh().status, len(upstream.requests)) == (JobStatus.COMPLETED, 2)

    def test_the_first_copy_is_soon_tried_again(self) -> None:
        waits = [Feed(attempts=attempts).backoff() for attempts in range(1, 20)]
        assert max(waits) == WITHOUT_A_COPY
        with_a_copy = Feed(attempts=19, fresh_at=timezone.now())
        assert with_a_copy.backoff() > WITHOUT_A_COPY

    def test_retry_after(self, mirrored: Upstream, refresh: Refresh) -> None:
        mirrored.say(b"", 429, Retry_After="1000")
        before = len(mirrored.requests)
        feed = refresh()
        assert len(mirrored.requests) == before + 1
        assert 900 < (feed.run_after - timezone.now()).total_seconds() <= 1000
        # Neither beat nor the sweeper comes before.
        tasks.refresh_posts()
        assert runner.run(Feed, feed.pk) is None

    def test_down(
        self, mirrored: Upstream, refresh: Refresh, settings: Any, unused_port: int
    ) -> None:
        settings.POSTS_API_URL = f"http://127.0.0.1:{unused_port}/posts"
        assert refresh().failure == "The feed can't be reached (ConnectError)."
        assert ids() == list(range(1, 13))

    def test_redirects(
        self, upstream: Upstream, refresh: Refresh, httpserver: Any, settings: Any
    ) -> None:
        moved = {"Location": upstream.url}
        httpserver.expect_request("/moved").respond_with_data("x" * 100, 301, moved)
        httpserver.expect_request("/round").respond_with_data("", 302, {"Location": "/round"})
        settings.POSTS_API_URL = httpserver.url_for("/moved")
        assert refresh().posts == 12
        settings.POSTS_API_URL = httpserver.url_for("/round")
        assert refresh().failure == "The feed redirects too often."

    def test_packed(self, mirrored: Upstream, refresh: Refresh) -> None:
        mirrored.say(b"\x1f\x8b", 200, Content_Encoding="gzip")
        assert refresh().failure == "The feed is packed, although it was asked not to be."
        assert mirrored.requests[-1].headers["Accept-Encoding"] == "identity"


class Dribble(socketserver.BaseRequestHandler):
    """Sends a byte now and then: of the head, or of the body."""

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

    def handle(self) -> None:
        self.request.recv(4096)
        server: Any = self.server
        text = server.at_once + b" " * 100_000
        self.request.sendall(server.at_once)
        for position in range(len(server.at_once), len(text)):
            try:
                self.request.sendall(text[position : position + 1])
            except OSError:
                return
            time.sleep(0.02)


@pytest.fixture(params=[Dribble.head, b"HTTP/1.1 200 OK\r\nX: "], ids=["body", "head"])
def dribbling(request: Any) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dribble) as server:
        server.daemon_threads, server.at_once = True, request.param
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/posts"
        server.shutdown()


def test_a_feed_that_drips_is_given_up(
    mirrored: Upstream, refresh: Refresh, settings: Any, dribbling: str
) -> None:
    settings.POSTS_API_URL, settings.POSTS_TIMEOUT = dribbling, 0.5
    started = time.monotonic()
    assert refresh().failure == "The feed took longer than 0.5 seconds."
    assert time.monotonic() - started < 2
    assert ids() == list(range(1, 13))


@pytest.mark.django_db(transaction=True)
class TestOneAtATime:
    def test_whoever_asks(self, upstream: Upstream) -> None:
        def slow(_: Any) -> Response:
            time.sleep(0.3)
            return Response(json.dumps([entry(1)]))

        upstream.answer = slow

        def ask(_: int) -> None:
            try:
                runner.run(Feed, Feed.objects.ask_for_refresh(now=True).pk)
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(ask, range(6)))
        assert len(upstream.requests) == 1

    def test_a_run_that_was_overtaken_writes_nothing(
        self, mirrored: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker stood still past its lease, and another has done the refresh meanwhile."""
        fetch = services.fetching.fetch

        def overtaken(known: Any) -> Any:
            mirrored.posts = [entry(1, title="Old"), *mirrored.posts[1:]]
            old = fetch(known)
            monkeypatch.setattr(services.fetching, "fetch", fetch)
            mirrored.posts = [entry(1, title="New"), *mirrored.posts[1:]]
            Feed.objects.update(lease_until=Now() - timedelta(seconds=1))
            runner.run(Feed, Feed.objects.state().pk)
            return old

        monkeypatch.setattr(services.fetching, "fetch", overtaken)
        runner.run(Feed, Feed.objects.ask_for_refresh().pk)
        assert Post.objects.get(id=1).title == "New"
        assert Feed.objects.state().status == JobStatus.COMPLETED

    def test_beat_leaves_a_waiting_refresh_alone(self, upstream: Upstream) -> None:
        tasks.refresh_posts()
        first = Feed.objects.state()
        Feed.objects.update(attempts=2)
        tasks.refresh_posts()
        assert Feed.objects.values_list("pk", "attempts").get() == (first.pk, 2)
