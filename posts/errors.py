from common.api.exceptions import ServiceUnavailable


class FeedError(Exception):
    """The feed gave nothing that can be taken; the message continues "The feed ...".

    `again` says whether another try may bring more at once, `retry_after` the seconds after which
    the feed wants to be asked again.
    """

    def __init__(
        self, message: str, *, again: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.again = again
        self.retry_after = retry_after


class NoPosts(ServiceUnavailable):
    """503: there has never been a copy, and the feed gives none; `wait` is in seconds."""

    default_detail = "There are no posts yet, and the feed does not answer. Try again soon."
    default_code = "feed_unavailable"

    def __init__(self, *, wait: float) -> None:
        super().__init__()
        self.wait = max(1, round(wait))
