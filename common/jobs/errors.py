"""The exceptions by which a handler ends a run without a result."""


class JobFailed(Exception):
    """The job can never succeed. Clients see the message."""


class RetryLater(Exception):
    """The job may succeed later. Clients see the message until then.

    `delay` is in seconds; without it the job's backoff applies. The run counts as an attempt, and
    a job without attempts left fails with this message.
    """

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Postponed(Exception):
    """The job has to wait: it runs again after `delay` seconds, and this run is no attempt.

    Only for a wait that is certain to end, never for a failure.
    """

    def __init__(self, *, delay: float) -> None:
        super().__init__(f"postponed by {delay:.0f} seconds")
        self.delay = delay


class LostLease(Exception):
    """The run no longer holds the job: it was claimed again, cancelled or requeued."""
