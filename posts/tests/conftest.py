import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from common.caching import store
from common.jobs import runner
from posts import fetching
from posts.models import Feed

Entry = dict[str, Any]


def entry(number: int, **changes: Any) -> Entry:
    """Return a post as the feed sends it."""
    texts = {"title": f"Title {number}", "body": f"Body {number}"}
    return {"userId": 1 + number % 3, "id": number, **texts, **changes}


class FeedServer:
    """A local feed that serves `posts` with an ETag, or what `handler` returns if it is set.

    It stores all requests.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/posts")
        self.posts: Any = [entry(number) for number in range(1, 13)]
        self.handler: Callable[[Request], Response] | None = None
        self.requests: list[Request] = []
        self.delay = 0.0
        server.expect_request("/posts").respond_with_handler(self._handle)

    def respond_with(self, body: Any = b"", status: int = 200, **headers: str) -> None:
        """Answer all further requests with this response."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.handler = lambda _: Response(body, status, named)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        time.sleep(self.delay)
        if self.handler:
            return self.handler(request)
        response = Response(json.dumps(self.posts), content_type="application/json")
        response.add_etag()
        return response.make_conditional(request)


@pytest.fixture
def feed_server(
    httpserver: HTTPServer, settings: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> FeedServer:
    # A request of another test may have created one in a thread, outside the test's transaction.
    Feed.objects.all().delete()
    monkeypatch.setattr(fetching, "FIRST_RETRY_DELAY_S", 0.01)
    monkeypatch.setattr(store, "unavailable_until", 0.0)
    server = FeedServer(httpserver)
    settings.POSTS_API_URL = server.url
    return server


@pytest.fixture
def refresh() -> Callable[[], Feed]:
    """Return a function that runs a refresh and returns the feed's row."""

    def run() -> Feed:
        runner.run(Feed, Feed.objects.request_refresh(immediately=True).pk)
        return Feed.objects.current()

    return run


@pytest.fixture
def no_feed(feed_server: FeedServer, settings: Any) -> FeedServer:
    """A feed that the settings do not name; it stores requests that should not arrive."""
    settings.POSTS_API_URL = ""
    return feed_server
