"""Detect migrations that were edited after they were locked or after a database applied them.

`migrate` records the SHA-256 of each applied migration in `AppliedMigration`. A system check
compares them with the files, so `migrate` and `check --database default` refuse a database whose
schema the current migrations would not make. A web, worker, beat or gRPC process checks it when it
starts. In the repository, `MIGRATIONS_LOCK_FILE` lists the locked migrations;
`lock_migrations --check` compares them in `make lint`. Only the migrations of the project's own
apps are checked, and requests are not affected.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder

from common.models import AppliedMigration
from common.postgres.failures import exit_if_permanent

# Creates the table of `AppliedMigration`, so a database that applied it must have the table.
FIRST_MIGRATION = "common.0001_initial"


def own_apps() -> list[AppConfig]:
    """Return the apps whose packages are in the project's root folder."""
    return [a for a in apps.get_app_configs() if Path(a.path).parent == settings.BASE_DIR]


def compute_checksums() -> dict[str, str]:
    """Return the SHA-256 of each migration file by `app.0001_name`, sorted by name."""
    files = (
        (f"{config.label}.{path.stem}", path)
        for config in own_apps()
        for path in Path(config.path, "migrations").glob("[!_~]*.py")
    )
    return {name: _checksum(path) for name, path in sorted(files)}


def _checksum(path: Path) -> str:
    # Reading as text makes the line endings of a Windows checkout irrelevant.
    return hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest()


def read_lock_file() -> dict[str, str]:
    """Return the checksums of the locked migrations by name."""
    try:
        lines = settings.MIGRATIONS_LOCK_FILE.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split() for line in lines)


def write_lock_file(checksums: dict[str, str]) -> None:
    lines = [f"{name} {checksum}\n" for name, checksum in sorted(checksums.items())]
    settings.MIGRATIONS_LOCK_FILE.write_text("".join(lines))


def record_applied_migrations(*, using: str, **_: Any) -> None:
    """Record the checksums of newly applied migrations, and delete those of unapplied ones.

    A `post_migrate` receiver. If `migrate` was interrupted, the next one records the rest.
    """
    applied = _applied_migrations(using)
    if FIRST_MIGRATION not in applied:
        return
    recorded = set(AppliedMigration.objects.using(using).values_list("name", flat=True))
    AppliedMigration.objects.using(using).filter(name__in=recorded - applied).delete()
    rows = [
        AppliedMigration(name=name, checksum=checksum)
        for name, checksum in compute_checksums().items()
        if name in applied - recorded
    ]
    AppliedMigration.objects.using(using).bulk_create(rows, ignore_conflicts=True)


def check_applied_migrations(
    app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Return an error for each database that was made by other migrations; a system check."""
    return [error for using in databases or () if (error := _find_error(using))]


def exit_if_incompatible(using: str = "default") -> None:
    """End a starting process with a sentence if other migrations made the database.

    If the database can't be reached, the process says so, starts and waits for it. A refused
    password or an unknown database ends it.
    """
    try:
        error = find_incompatibility(using)
    except DatabaseError as failure:
        exit_if_permanent(failure, using)
        return
    if error:
        raise SystemExit(f"Bureau can't start. {error.msg} {error.hint}")


def find_incompatibility(using: str = "default") -> Error | None:
    """Return the error of a database that other migrations made; close the connections."""
    try:
        return _find_error(using)
    finally:
        close_connections(using)


def close_connections(using: str = "default") -> None:
    """Close all connections: a worker forks next, and its children must not share them."""
    connections[using].close()
    connections[using].close_pool()  # type: ignore[attr-defined]


def _find_error(using: str) -> Error | None:
    applied = _applied_migrations(using)
    if FIRST_MIGRATION not in applied:
        return None
    if AppliedMigration._meta.db_table not in connections[using].introspection.table_names():
        return _old_version_error()
    recorded = dict(AppliedMigration.objects.using(using).values_list("name", "checksum"))
    checksums = compute_checksums()
    edited = sorted(n for n in recorded.keys() & checksums if recorded[n] != checksums[n])
    return _edited_error(edited) if edited else None


def _old_version_error() -> Error:
    return Error(
        "This database was made by a version before 1.0.0, which this version cannot upgrade.",
        hint=(
            "Keep using the old version with it, or start with an empty database: for local"
            " data, remove the folder var/."
        ),
        id="common.E001",
    )


def _edited_error(edited: list[str]) -> Error:
    return Error(
        f"This database was made by another form of the migrations {', '.join(edited)}.",
        hint=(
            "Never edit an applied migration: restore the file, and write a new migration for the"
            " change. Or start with an empty database."
        ),
        id="common.E002",
    )


def _applied_migrations(using: str) -> set[str]:
    applied = MigrationRecorder(connections[using]).applied_migrations()
    return {f"{app}.{name}" for app, name in applied}
