from common.api.exceptions import Conflict, ServiceUnavailable


class FeedError(Exception):
    """The feed's answer can't be used; the message continues "The feed ...".

    is_retryable: whether another request, sent soon, may succeed.
    retry_after: how many seconds to wait, if the feed sent `Retry-After`.
    """

    def __init__(
        self, message: str, *, is_retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable
        self.retry_after = retry_after


class FeedUnavailable(ServiceUnavailable):
    """503: there are no posts yet, and the feed returns none. Retry after `wait` seconds."""

    default_detail = "There are no posts yet, and the feed does not answer. Try again soon."
    default_code = "feed_unavailable"

    def __init__(self, *, wait: float) -> None:
        super().__init__()
        self.wait = max(1, round(wait))


class NoFeed(Conflict):
    """409: there is no feed to mirror."""

    default_detail = "There is no feed: POSTS_API_URL is not set."
    default_code = "no_feed"
