class FileRefused(Exception):
    """The file can't be imported at all; `errors` are pairs of a code and a message."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__(" ".join(message for _, message in errors))
        self.errors = errors


class CellError(Exception):
    """The value of a cell is not valid; the message is for the sender of the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
