class JobFailed(Exception):
    """The job can't succeed, however often it is tried; the message is shown to the client."""


class RetryLater(Exception):
    """The job may succeed later; the message is shown to the client meanwhile.

    `delay` is in seconds; without it the job's own backoff applies. Either way the try counts,
    and a job whose tries are used up has failed with this message.
    """

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Postponed(Exception):
    """It is not this job's turn yet; it runs again after `delay` seconds, and the try is not
    counted. For a wait that comes to an end by itself, and never for a failure."""

    def __init__(self, *, delay: float) -> None:
        super().__init__(f"not for another {delay:.0f} seconds")
        self.delay = delay


class LostLease(Exception):
    """Another worker, a cancellation or an edit has taken the job from this run."""
