class OutboundError(Exception):
    """A request was refused or failed; the message continues "The feed ...".

    is_retryable: whether another request, sent soon, may succeed.
    """

    def __init__(self, message: str, *, is_retryable: bool = False) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable
