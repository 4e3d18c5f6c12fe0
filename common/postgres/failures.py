"""Sentences for the errors of a database that its operator can solve."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import structlog
from django.db import DatabaseError, connections

log = structlog.get_logger(__name__)

# Waiting does not help against these answers of a server.
PERMANENT = re.compile(r"authentication failed|does not exist|no pg_hba\.conf entry|no password")
CANNOT_CONNECT = "The database can't be used"
ADVICE = {
    # insufficient_privilege, feature_not_supported, undefined_file: what extensions fail with
    "42501": "Give its user the permission, or let an administrator do it once.",
    "0A000": "Bureau needs the extensions pg_trgm, unaccent and vector; see docs/deploy.md.",
    "58P01": "Bureau needs the extensions pg_trgm, unaccent and vector; see docs/deploy.md.",
    "42P01": "Run `manage.py migrate` first.",  # undefined_table
    "42703": "Run `manage.py migrate` first.",  # undefined_column
}


def describe_failure(error: DatabaseError, using: str = "default") -> str:
    """Return a sentence for an error, or an empty string if it is a bug of the program."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None)
    if state in ADVICE:
        return f"The database says: {_first_line(cause)}. {ADVICE[state]}"
    problem = find_connection_problem(using)
    return f"{CANNOT_CONNECT}: {problem}. Check DATABASE_URL or POSTGRES_*." if problem else ""


def find_connection_problem(using: str = "default") -> str:
    """Return why no connection can be made, or an empty string; the pool gives no reason."""
    try:
        psycopg.connect(**connections[using].get_connection_params()).close()
    except psycopg.Error as error:
        return "; ".join(line.strip().rstrip(".") for line in str(error).splitlines() if line)
    return ""


@contextmanager
def exit_on_database_errors() -> Iterator[None]:
    """Exit with a sentence for errors that the database's operator can solve."""
    try:
        yield
    except DatabaseError as error:
        if sentence := describe_failure(error):
            sys.exit(sentence)
        raise


def exit_if_permanent(error: DatabaseError, using: str = "default") -> None:
    """End a starting process if waiting for the database does not help; else log the reason."""
    sentence = describe_failure(error, using)
    if PERMANENT.search(sentence):
        raise SystemExit(f"Bureau can't start. {sentence}")
    log.warning("database_unavailable", reason=sentence, hint="The process waits for it.")


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0].rstrip(".")
