"""Tracebacks that tell where something went wrong, and not what somebody had written there."""

import traceback

# Errors of Python, of the database and of Redis whose messages name code and servers. All others
# may quote what they could not read or store, as a ValueError or a violated constraint does.
SPEAKING = frozenset(
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
LONGEST = 300


def redacted_traceback(error: BaseException) -> str:
    """The error and those that led to it, oldest first; without local variables."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [redacted_traceback(cause), "", "which led to:", ""] if cause else []
    if error.__traceback__:
        lines.append("Traceback (most recent call last):")
        lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    if isinstance(error, BaseExceptionGroup):
        lines += [redacted_traceback(inner) for inner in error.exceptions]
    return "\n".join([*lines, redacted_message(error)])


def redacted_message(error: BaseException) -> str:
    """The error's name; its message too, where that is not made of people's words.

    Of the database's only the first line: those after it quote statements and rows.
    """
    name = type(error).__name__
    if name not in SPEAKING and not isinstance(error, OSError):
        return name
    first = str(error).partition("\n")[0][:LONGEST]
    return f"{name}: {first}" if first else name
