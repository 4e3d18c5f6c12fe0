"""Management commands fail with a sentence if a server or a setting can't be used."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import get_commands
from django.db import DatabaseError, NotSupportedError, OperationalError, connection, connections

from common.migration_checksums import record_applied_migrations
from common.models import AppliedMigration
from common.postgres.failures import describe_failure, exit_if_permanent
from config.command_line import DATABASE_COMMANDS, run
from config.local import LocalServices

# These make or compare the schema, or read no rows.
OTHER_COMMANDS = {"grpcserver", "lock_migrations"}
OWN_PACKAGES = {"common", "accounts", "catalog", "notes", "uploads", "posts", "integrations"}


@pytest.fixture
def no_services(tmp_path: Path) -> LocalServices:
    return LocalServices(tmp_path, postgres=False, valkey=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Add a database `broken` with other parameters than the default one."""

    def add(**parameters: Any) -> str:
        settings = {**connection.settings_dict, **parameters}
        monkeypatch.setitem(connections.settings, "broken", settings)
        return "broken"

    yield add
    if hasattr(connections._connections, "broken"):
        del connections["broken"]


def test_every_own_command_that_uses_rows_checks_the_database() -> None:
    own = {name for name, app in get_commands().items() if app in OWN_PACKAGES}
    assert own - OTHER_COMMANDS == DATABASE_COMMANDS & own
    assert set(get_commands()) >= DATABASE_COMMANDS


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["seed_admin", "shell", "dumpdata"])
def test_a_command_refuses_the_database_of_other_migrations(
    command: str, no_services: LocalServices
) -> None:
    record_applied_migrations(using="default")
    AppliedMigration.objects.filter(name="notes.0001_initial").update(checksum="0" * 64)
    try:
        with pytest.raises(SystemExit, match=rf"{command} can't run.*notes\.0001_initial"):
            run(["manage.py", command], no_services)
    finally:
        AppliedMigration.objects.all().delete()
        record_applied_migrations(using="default")


def test_an_unusable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"Bureau can't run\. The folder .* can't be used"):
        run(["manage.py", "version"], LocalServices(tmp_path / "file"))


def test_an_unreachable_database_is_reported(broken: Any) -> None:
    alias = broken(HOST="127.0.0.1", PORT="1", PASSWORD="s3cret")
    sentence = describe_failure(OperationalError("couldn't get a connection"), alias)
    assert sentence.startswith("The database can't be used: connection failed: ")
    assert "Connection refused" in sentence
    assert "s3cret" not in sentence


def test_a_server_ends_without_its_database_and_waits_for_an_unreachable_one(broken: Any) -> None:
    error = OperationalError("couldn't get a connection")
    with pytest.raises(SystemExit, match=r"Bureau can't start\. .*does not exist"):
        exit_if_permanent(error, broken(NAME="nowhere"))
    del connections["broken"]
    exit_if_permanent(error, broken(HOST="127.0.0.1", PORT="1"))


@pytest.mark.parametrize(
    ("cause", "error", "advice"),
    [
        (psycopg.errors.FeatureNotSupported, NotSupportedError, "pg_trgm, unaccent and vector"),
        (psycopg.errors.InsufficientPrivilege, DatabaseError, "Give its user the permission"),
        (psycopg.errors.UndefinedTable, DatabaseError, "Run `manage.py migrate` first."),
    ],
)
def test_errors_that_an_operator_can_solve_come_with_advice(
    cause: type[Exception], error: type[DatabaseError], advice: str
) -> None:
    failure = error("no")
    failure.__cause__ = cause('extension "vector" is not available\nDETAIL: x')
    sentence = describe_failure(failure)
    assert sentence.startswith('The database says: extension "vector" is not available. ')
    assert advice in sentence


def test_a_bug_of_the_program_has_no_sentence() -> None:
    failure = DatabaseError("no")
    failure.__cause__ = psycopg.errors.SyntaxError("syntax error")
    assert describe_failure(failure) == ""
