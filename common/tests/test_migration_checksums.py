"""Migrations never change after they were locked or after a database applied them."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from common.migration_checksums import (
    check_applied_migrations,
    compute_checksums,
    own_apps,
    read_lock_file,
    record_applied_migrations,
    write_lock_file,
)
from common.models import AppliedMigration


def check_database() -> list[CheckMessage]:
    return check_applied_migrations(databases=["default"])


def record() -> None:
    record_applied_migrations(using="default")


def recorded_checksums() -> dict[str, str]:
    return dict(AppliedMigration.objects.values_list("name", "checksum"))


@pytest.fixture
def lock_file(settings: Any, tmp_path: Path) -> Path:
    settings.MIGRATIONS_LOCK_FILE = tmp_path / "migrations.lock"
    return settings.MIGRATIONS_LOCK_FILE


def test_only_own_apps_count() -> None:
    labels = {config.label for config in own_apps()}
    assert labels == {"accounts", "catalog", "common", "integrations", "notes", "posts", "uploads"}


@pytest.mark.django_db
class TestDatabase:
    def test_migrate_records_every_applied_migration(self) -> None:
        record()
        assert recorded_checksums() == compute_checksums()
        assert check_database() == []

    def test_an_edited_migration_is_refused(self) -> None:
        record()
        AppliedMigration.objects.filter(name="notes.0001_initial").update(checksum="0" * 64)
        with pytest.raises(SystemCheckError, match=r"another form of.*notes\.0001_initial"):
            call_command("migrate", skip_checks=False, verbosity=0)
        with pytest.raises(SystemCheckError, match=r"another form of.*notes\.0001_initial"):
            call_command("check", databases=["default"])

    def test_a_database_without_checksums_is_refused(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {AppliedMigration._meta.db_table}")
        with pytest.raises(SystemCheckError, match=r"made by a version before 1\.0\.0"):
            call_command("migrate", skip_checks=False, verbosity=0)

    def test_a_new_database_is_accepted(self) -> None:
        MigrationRecorder(connection).Migration.objects.all().delete()
        assert check_database() == []

    def test_an_interrupted_migrate_can_be_repeated(self) -> None:
        record()
        AppliedMigration.objects.filter(name="notes.0001_initial").delete()
        assert check_database() == []
        record()
        assert recorded_checksums() == compute_checksums()

    def test_an_unapplied_migration_is_forgotten(self) -> None:
        record()
        AppliedMigration.objects.create(name="notes.0099_unapplied", checksum="0" * 64)
        record()
        assert "notes.0099_unapplied" not in recorded_checksums()

    def test_a_migration_of_a_newer_version_is_accepted(self) -> None:
        record()
        MigrationRecorder(connection).record_applied("notes", "0099_later")
        AppliedMigration.objects.create(name="notes.0099_later", checksum="0" * 64)
        assert check_database() == []


class TestLockFile:
    def test_the_committed_file_has_every_migration(self) -> None:
        call_command("lock_migrations", check=True)

    def test_new_migrations_are_added(self, lock_file: Path) -> None:
        with pytest.raises(CommandError, match=r"Not locked yet: accounts\.0001_initial"):
            call_command("lock_migrations", check=True)
        assert not lock_file.exists()
        call_command("lock_migrations")
        assert read_lock_file() == compute_checksums()
        call_command("lock_migrations", check=True)

    @pytest.mark.parametrize("options", [{}, {"check": True}])
    def test_an_edited_migration_is_refused(self, lock_file: Path, options: Any) -> None:
        write_lock_file(compute_checksums() | {"notes.0001_initial": "0" * 64})
        before = lock_file.read_text()
        with pytest.raises(CommandError, match=r"edited or removed: notes\.0001_initial\."):
            call_command("lock_migrations", **options)
        assert lock_file.read_text() == before

    def test_a_removed_migration_is_refused(self, lock_file: Path) -> None:
        write_lock_file(compute_checksums() | {"notes.0002_removed": "0" * 64})
        with pytest.raises(CommandError, match=r"edited or removed: notes\.0002_removed\."):
            call_command("lock_migrations", check=True)

    def test_rewrite_accepts_an_edited_migration(self, lock_file: Path) -> None:
        write_lock_file(compute_checksums() | {"notes.0001_initial": "0" * 64})
        call_command("lock_migrations", rewrite=True)
        assert read_lock_file() == compute_checksums()
