"""Tracebacks and error messages without the data that people wrote."""

import traceback

# Errors of Python, the database and Redis whose messages name only code and servers. Messages of
# other errors may quote data, as those of a ValueError or a violated constraint do.
SAFE_ERRORS = frozenset(
    {
        "AssertionError",
        "AttributeError",
        "ConnectionError",
        "ImportError",
        "ImproperlyConfigured",
        "InterfaceError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "OperationalError",
        "ProgrammingError",
        "RecursionError",
        "TimeoutError",
        "TypeError",
        "UnboundLocalError",
    }
)
MAX_MESSAGE_CHARS = 300


def redacted_traceback(error: BaseException) -> str:
    """Return the traceback of an error and its causes, oldest first, with redacted messages."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [redacted_traceback(cause), "", "which led to:", ""] if cause else []
    if error.__traceback__:
        lines.append("Traceback (most recent call last):")
        lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    if isinstance(error, BaseExceptionGroup):
        lines += [redacted_traceback(inner) for inner in error.exceptions]
    return "\n".join([*lines, redacted_message(error)])


def redacted_message(error: BaseException) -> str:
    """Return the class name of an error, followed by its message if that cannot quote data.

    Only the first line of the message: in database errors the others quote statements and rows.
    """
    name = type(error).__name__
    if name not in SAFE_ERRORS and not isinstance(error, OSError):
        return name
    first_line = str(error).partition("\n")[0][:MAX_MESSAGE_CHARS]
    return f"{name}: {first_line}" if first_line else name
