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


def entry(number: int, **changed: Any) -> Entry:
    """A post as the feed has it."""
    texts = {"title": f"Title {number}", "body": f"Body {number}"}
    return {"userId": 1 + number % 3, "id": number, **texts, **changed}


class Upstream:
    """The feed, on this machine: `posts` is what it holds, unless it has an `answer` of its own.

    It knows its posts by an ETag, and keeps all requests.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/posts")
        self.posts: Any = [entry(number) for number in range(1, 13)]
        self.answer: Callable[[Request], Response] | None = None
        self.requests: list[Request] = []
        self.delay = 0.0
        server.expect_request("/posts").respond_with_handler(self._handle)

    def say(self, body: Any = b"", status: int = 200, **headers: str) -> None:
        """Answer so from here on, to all requests."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: Response(body, status, named)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        time.sleep(self.delay)
        if self.answer:
            return self.answer(request)
        response = Response(json.dumps(self.posts), content_type="application/json")
        response.add_etag()
        return response.make_conditional(request)


@pytest.fixture
def upstream(
    httpserver: HTTPServer, settings: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> Upstream:
    # A request of another test may have made one, in a thread and thus a transaction of its own.
    Feed.objects.all().delete()
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(store, "unavailable_until", 0.0)
    upstream = Upstream(httpserver)
    settings.POSTS_API_URL = upstream.url
    return upstream


@pytest.fixture
def refresh() -> Callable[[], Feed]:
    """Ask for a refresh, do it, and return how the mirror is then."""

    def run() -> Feed:
        runner.run(Feed, Feed.objects.ask_for_refresh(now=True).pk)
        return Feed.objects.state()

    return run
