"""Refreshing the mirror: a failing or invalid feed never removes the last good posts."""

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
from posts import metrics, services, tasks
from posts.models import MAX_RETRY_DELAY_WITHOUT_MIRROR_S, Feed, Post
from posts.tests.conftest import FeedServer, entry

Refresh = Callable[[], Feed]

HUGE = "9" * 5000


@pytest.fixture
def mirrored_feed(feed_server: FeedServer, refresh: Refresh) -> FeedServer:
    """A feed that was mirrored by a first refresh."""
    assert refresh().status == JobStatus.COMPLETED
    assert Post.objects.count() == 12
    return feed_server


def stored_ids() -> list[int]:
    return list(Post.objects.values_list("id", flat=True))


def test_posts_are_stored_unchanged(feed_server: FeedServer, refresh: Refresh) -> None:
    feed_server.posts = [entry(7, title=" Ünï\n", body="", more="ignored")]
    feed = refresh()
    assert list(Post.objects.values("id", "user_id", "title", "body")) == [
        {"id": 7, "user_id": 2, "title": " Ünï\n", "body": ""}
    ]
    assert (feed.status, feed.post_count, feed.rejected_count, feed.failed_at) == (
        "completed",
        1,
        0,
        None,
    )
    assert feed.fresh_at is not None


class TestChangedFeed:
    def test_changed_new_and_missing_posts_are_stored(
        self, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        before = Post.objects.get(id=1)
        mirrored_feed.posts = [
            entry(1),
            entry(2, title="Other"),
            *mirrored_feed.posts[3:],
            entry(99),
        ]
        refresh()
        assert stored_ids() == [1, 2, *range(4, 13), 99]
        assert Post.objects.get(id=2).title == "Other"
        # An unchanged post is not written.
        assert Post.objects.get(id=1).updated_at == before.updated_at

    def test_a_refresh_is_a_conditional_request(
        self, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        before = Feed.objects.current()
        feed = refresh()
        assert mirrored_feed.requests[-1].headers["If-None-Match"] == feed.etag != ""
        assert feed.fresh_at > before.fresh_at
        assert stored_ids() == list(range(1, 13))

    def test_another_address_gets_an_unconditional_request(
        self, mirrored_feed: FeedServer, refresh: Refresh, settings: Any
    ) -> None:
        settings.POSTS_API_URL += "?other"
        mirrored_feed.posts = [entry(50)]
        refresh()
        assert "If-None-Match" not in mirrored_feed.requests[-1].headers
        assert stored_ids() == [50]


INVALID_PAYLOADS = {
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
    "only invalid posts": json.dumps([{"id": 1}, 3, None]).encode(),
    "more invalid posts than valid ones": json.dumps([entry(1), {}, {}]).encode(),
}


@pytest.mark.parametrize("body", INVALID_PAYLOADS.values(), ids=INVALID_PAYLOADS)
def test_an_invalid_payload_changes_no_posts(
    mirrored_feed: FeedServer, refresh: Refresh, settings: Any, body: bytes
) -> None:
    settings.POSTS_MAX_BYTES, settings.POSTS_MAX_COUNT = 30_000, 100
    fresh_at = Feed.objects.current().fresh_at
    mirrored_feed.respond_with(body)
    feed = refresh()
    assert stored_ids() == list(range(1, 13))
    assert (feed.status, feed.fresh_at) == (JobStatus.QUEUED, fresh_at)
    assert feed.failed_at is not None
    assert feed.failure.startswith("The feed ")
    mirrored_feed.handler = None
    feed = refresh()
    assert (feed.failed_at, feed.failure) == (None, "")


@pytest.mark.parametrize(
    "invalid",
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
    ids=lambda fields: repr(fields)[:30],
)
def test_valid_posts_are_stored_without_the_invalid(
    mirrored_feed: FeedServer, refresh: Refresh, invalid: dict[str, Any]
) -> None:
    item = entry(3, **invalid) if invalid else "no object"
    mirrored_feed.posts = [entry(1, title="New"), entry(2), item]
    feed = refresh()
    assert Post.objects.get(id=1).title == "New"
    # A missing post may be one of the invalid ones, so none is deleted.
    assert stored_ids() == list(range(1, 13))
    assert (feed.status, feed.rejected_count, feed.failed_at) == (JobStatus.COMPLETED, 1, None)


def test_most_posts_are_deleted_only_when_the_third_payload_in_a_row_lacks_them(
    mirrored_feed: FeedServer, refresh: Refresh
) -> None:
    mirrored_feed.posts = [entry(1, title="New"), entry(2)]
    for _ in range(2):
        refresh()
        assert Post.objects.get(id=1).title == "New"
        assert stored_ids() == list(range(1, 13))
    refresh()
    assert stored_ids() == [1, 2]


class TestFailingFeed:
    @pytest.mark.parametrize("status", [400, 404, 500, 503, 304])
    def test_an_unexpected_status_is_a_failure(
        self, mirrored_feed: FeedServer, refresh: Refresh, status: int
    ) -> None:
        Feed.objects.update(etag="")
        mirrored_feed.respond_with(b"[]", status)
        feed = refresh()
        assert (feed.failure, stored_ids()) == (f"The feed answered {status}.", list(range(1, 13)))

    def test_a_failed_request_is_retried(self, feed_server: FeedServer, refresh: Refresh) -> None:
        def answer(_: Any) -> Response:
            feed_server.handler = None
            return Response(b"", 503, {"Retry-After": "0"})

        feed_server.handler = answer
        assert (refresh().status, len(feed_server.requests)) == (JobStatus.COMPLETED, 2)

    def test_the_first_refresh_is_retried_soon(self) -> None:
        delays = [Feed(attempts=attempts).backoff() for attempts in range(1, 20)]
        assert max(delays) == MAX_RETRY_DELAY_WITHOUT_MIRROR_S
        with_mirror = Feed(attempts=19, fresh_at=timezone.now())
        assert with_mirror.backoff() > MAX_RETRY_DELAY_WITHOUT_MIRROR_S

    def test_retry_after_is_respected(self, mirrored_feed: FeedServer, refresh: Refresh) -> None:
        mirrored_feed.respond_with(b"", 429, Retry_After="1000")
        before = len(mirrored_feed.requests)
        feed = refresh()
        assert len(mirrored_feed.requests) == before + 1
        assert 900 < (feed.run_after - timezone.now()).total_seconds() <= 1000
        # Neither the schedule nor the sweeper starts it earlier.
        tasks.refresh_posts()
        assert runner.run(Feed, feed.pk) is None

    def test_a_refused_connection_is_a_failure(
        self, mirrored_feed: FeedServer, refresh: Refresh, settings: Any, unused_port: int
    ) -> None:
        settings.POSTS_API_URL = f"http://127.0.0.1:{unused_port}/posts"
        assert refresh().failure == "The feed can't be reached (ConnectError)."
        assert stored_ids() == list(range(1, 13))

    def test_redirects_are_followed_up_to_a_limit(
        self, feed_server: FeedServer, refresh: Refresh, httpserver: Any, settings: Any
    ) -> None:
        moved = {"Location": feed_server.url}
        httpserver.expect_request("/moved").respond_with_data("x" * 100, 301, moved)
        httpserver.expect_request("/round").respond_with_data("", 302, {"Location": "/round"})
        settings.POSTS_API_URL = httpserver.url_for("/moved")
        assert refresh().post_count == 12
        settings.POSTS_API_URL = httpserver.url_for("/round")
        assert refresh().failure == "The feed redirects too often."

    @pytest.mark.parametrize(
        "location",
        [
            "http://127.0.0.1:{port}/secret",
            "http://localhost:{other_port}/secret",
            "http://2130706433:{port}/secret",
            "http://[::1]:{port}/secret",
            "http://169.254.169.254/latest/meta-data",
            "//127.0.0.1:{port}/secret",
        ],
    )
    def test_a_redirect_to_another_private_address_is_refused(
        self,
        mirrored_feed: FeedServer,
        refresh: Refresh,
        httpserver: Any,
        settings: Any,
        unused_port: int,
        location: str,
    ) -> None:
        secret = httpserver.expect_request("/secret")
        secret.respond_with_data(json.dumps([entry(66, title="internal")]))
        location = location.format(port=httpserver.port, other_port=unused_port)
        mirrored_feed.respond_with(b"", 302, Location=location)
        assert "is not public." in refresh().failure
        assert stored_ids() == list(range(1, 13))
        assert [request.path for request, _ in httpserver.log] == ["/posts", "/posts"]

    def test_a_compressed_answer_is_rejected(
        self, mirrored_feed: FeedServer, refresh: Refresh
    ) -> None:
        mirrored_feed.respond_with(b"\x1f\x8b", 200, Content_Encoding="gzip")
        assert refresh().failure == (
            "The feed is compressed, although an uncompressed answer was requested."
        )
        assert mirrored_feed.requests[-1].headers["Accept-Encoding"] == "identity"


class SlowHandler(socketserver.BaseRequestHandler):
    """Sends one byte at a time, of the head or of the body."""

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

    def handle(self) -> None:
        self.request.recv(4096)
        server: Any = self.server
        text = server.first_bytes + b" " * 100_000
        self.request.sendall(server.first_bytes)
        for position in range(len(server.first_bytes), len(text)):
            try:
                self.request.sendall(text[position : position + 1])
            except OSError:
                return
            time.sleep(0.02)


@pytest.fixture(params=[SlowHandler.head, b"HTTP/1.1 200 OK\r\nX: "], ids=["body", "head"])
def slow_url(request: Any) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), SlowHandler) as server:
        server.daemon_threads, server.first_bytes = True, request.param
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/posts"
        server.shutdown()


def test_a_slow_feed_ends_at_the_time_limit(
    mirrored_feed: FeedServer, refresh: Refresh, settings: Any, slow_url: str
) -> None:
    settings.POSTS_API_URL, settings.POSTS_TIMEOUT = slow_url, 0.5
    started = time.monotonic()
    assert refresh().failure == "The feed took longer than 0.5 seconds."
    assert time.monotonic() - started < 2
    assert stored_ids() == list(range(1, 13))


@pytest.mark.django_db(transaction=True)
class TestConcurrency:
    def test_concurrent_refreshes_send_one_request(self, feed_server: FeedServer) -> None:
        def answer_slowly(_: Any) -> Response:
            time.sleep(0.3)
            return Response(json.dumps([entry(1)]))

        feed_server.handler = answer_slowly

        def run_refresh(_: int) -> None:
            try:
                runner.run(Feed, Feed.objects.request_refresh(immediately=True).pk)
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(run_refresh, range(6)))
        assert len(feed_server.requests) == 1

    def test_a_run_that_lost_its_lease_writes_nothing(
        self, mirrored_feed: FeedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lease of a paused worker ended, and another worker ran the refresh."""
        fetch = services.fetching.fetch

        def fetch_and_lose_lease(validators: Any) -> Any:
            mirrored_feed.posts = [entry(1, title="Old"), *mirrored_feed.posts[1:]]
            old = fetch(validators)
            monkeypatch.setattr(services.fetching, "fetch", fetch)
            mirrored_feed.posts = [entry(1, title="New"), *mirrored_feed.posts[1:]]
            Feed.objects.update(lease_until=Now() - timedelta(seconds=1))
            runner.run(Feed, Feed.objects.current().pk)
            return old

        monkeypatch.setattr(services.fetching, "fetch", fetch_and_lose_lease)
        runner.run(Feed, Feed.objects.request_refresh().pk)
        assert Post.objects.get(id=1).title == "New"
        assert Feed.objects.current().status == JobStatus.COMPLETED

    def test_the_schedule_does_not_restart_a_queued_refresh(self, feed_server: FeedServer) -> None:
        tasks.refresh_posts()
        first = Feed.objects.current()
        Feed.objects.update(attempts=2)
        tasks.refresh_posts()
        assert Feed.objects.values_list("pk", "attempts").get() == (first.pk, 2)


class TestWithoutFeed:
    def test_the_schedule_queues_nothing(self, no_feed: FeedServer) -> None:
        tasks.refresh_posts()
        assert Feed.objects.current() is None

    def test_a_refresh_that_was_queued_before_fails(
        self, no_feed: FeedServer, refresh: Refresh
    ) -> None:
        feed = refresh()
        assert (feed.status, feed.error) == (
            JobStatus.FAILED,
            "There is no feed: POSTS_API_URL is not set.",
        )
        assert no_feed.requests == []

    def test_an_earlier_mirror_has_no_metrics(
        self, mirrored_feed: FeedServer, settings: Any
    ) -> None:
        assert len(list(metrics.collect())) == 2
        settings.POSTS_API_URL = ""
        assert list(metrics.collect()) == []
