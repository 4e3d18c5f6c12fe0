"""A backup restores all rows and files, and a bad backup changes nothing."""

import fcntl
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_celery_results.models import TaskResult

from accounts import services
from accounts.models import Login, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from catalog.tests.factories import ProductFactory
from common.backup import write_backup
from common.backup.tables import read_tables, tables_with_rows
from common.models import PendingRestore
from common.startup import prepare_database
from common.tests.support.texts import SPECIAL_TEXT
from config.environment import BASE_DIR
from notes.tests.factories import NoteFactory
from posts.models import Post

pytestmark = pytest.mark.django_db(transaction=True)

NEW_DATABASE = "bureau_restored"


@pytest.fixture
def rows_of_all_apps(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in the tables of all apps, from factories, commands and requests."""
    call_command("seed_admin", password=PASSWORD)
    call_command("seed_demo", password=PASSWORD)
    admin = UserFactory(username="boss", role=Role.ADMIN)
    agent = UserFactory(company=admin.company, username="agent", full_name="Zoë 'Ann' \\ Ågren")
    services.create_invitation(
        by=admin, company=admin.company, email="new@example.org", role="agent"
    )
    services.deactivate_user(agent, by=admin)
    NoteFactory(user=agent, title="Special", raw_text=SPECIAL_TEXT)
    ProductFactory.create_batch(3, company=admin.company)
    Post.objects.create(id=1, user_id=1, title=SPECIAL_TEXT, body="")
    TaskResult.objects.create(task_id="1", result=json.dumps(SPECIAL_TEXT))
    client = Client()
    login = {"email": admin.email, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", login, "application/json").status_code == 200
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    signup = {"email": "late@example.org", "password": PASSWORD}
    monkeypatch.setattr(settings, "SIGNUP", "open")
    assert client.post("/api/v1/auth/signup", signup, "application/json", **key).status_code == 201


@pytest.fixture
def new_database() -> Iterator[str]:
    """The URL of a new database with the same schema and no rows.

    It must come before the fixtures that create rows.
    """
    options = connection.settings_dict
    address = {"host": options["HOST"], "port": options["PORT"], "user": options["USER"]}
    name = f"{NEW_DATABASE}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name}")
        server.execute(f"CREATE DATABASE {name} TEMPLATE {options['NAME']}")
    parameters = {key: str(value) for key, value in address.items() if value}
    yield f"postgresql:///{name}?{urlencode(parameters, quote_via=quote)}"
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def full_backup(rows_of_all_apps: None, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar.gz"
    write_backup(path)
    return path


def read_rows(url: str = "") -> dict[str, list[str]]:
    """Return every row as text by table, of the database at `url` or of the test database.

    Without events, as a restore renumbers their transactions and adds one.
    """
    rows_by_table = {}
    names = [table.name for table in read_tables() if table.name != "common_event"]
    with psycopg.connect(url) if url else connection.cursor() as database:
        for name in names:
            cursor = database.execute(f'SELECT t::text FROM "{name}" t ORDER BY 1')
            rows_by_table[name] = [row[0] for row in (cursor or database).fetchall()]
    return rows_by_table


def read_events(url: str = "") -> list[tuple[str, ...]]:
    """Return the action, target and id of each event, in the order in which they are read."""
    query = "SELECT action, target_id, id::text FROM common_event ORDER BY xid, sequence"
    with psycopg.connect(url) if url else connection.cursor() as database:
        cursor = database.execute(query)
        return list((cursor or database).fetchall())


def restore_into(url: str, path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the `restore` command in a process with its own database and folder."""
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "VAR_DIR": str(folder),
    }
    command = [sys.executable, "manage.py", "restore", str(path)]
    return subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True)


def test_all_rows_and_files_are_restored(
    new_database: str, full_backup: Path, uploads: Path, tmp_path: Path
) -> None:
    before, events = read_rows(), read_events()
    assert sum(1 for rows in before.values() if rows) >= 16
    result = restore_into(new_database, full_backup, tmp_path / "new")
    assert result.returncode == 0, result.stderr
    assert read_rows(new_database) == before
    *restored_events, (action, *_) = read_events(new_database)
    assert (restored_events, action) == (events, "backup.restored")
    assert {action for action, *_ in events} > {"company.created", "product.created"}
    restored = tmp_path / "new" / "uploads"
    assert {p.relative_to(restored): p.read_bytes() for p in restored.rglob("*.*")} == {
        Path("acme/bucket/bild größe.png"): bytes(range(256)) * 5000
    }
    assert not (restored / ".incoming").exists()
    with psycopg.connect(new_database) as database:
        last = database.execute("SELECT max(id) FROM django_celery_results_taskresult").fetchone()
        new = database.execute(
            "INSERT INTO django_celery_results_taskresult (task_id, status, content_type,"
            " content_encoding, date_created, date_done)"
            " VALUES ('2', 'SUCCESS', '', '', now(), now()) RETURNING id"
        ).fetchone()
        assert new[0] == last[0] + 1, "the sequence continues"


def test_a_backup_is_readable_by_its_owner_only(small_backup: Path) -> None:
    assert small_backup.stat().st_mode & 0o077 == 0
    assert [path.name for path in small_backup.parent.glob(".*")] == []


def test_what_killed_backups_left_is_removed_by_the_next_one(small_backup: Path) -> None:
    folder = small_backup.parent
    (folder / ".other.tar.gz-1.bureau-part").touch()
    (folder / ".foreign.part").touch()
    with (folder / ".running.tar.gz-2.bureau-part").open("wb") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        write_backup(small_backup)
    left = {path.name for path in folder.glob(".*")}
    assert left == {".foreign.part", ".running.tar.gz-2.bureau-part"}


def test_existing_rows_stop_a_restore(small_backup: Path) -> None:
    before = read_rows()
    with pytest.raises(CommandError, match=r"has rows in accounts_company.*Add --replace"):
        call_command("restore", str(small_backup))
    assert read_rows() == before


def test_existing_files_stop_a_restore(small_backup: Path, uploads: Path) -> None:
    call_command("flush", interactive=False, verbosity=0)
    with pytest.raises(CommandError, match=r"uploads has files.*Add --replace"):
        call_command("restore", str(small_backup))
    assert not list(tables_with_rows())


def test_replace_deletes_existing_rows_and_files(small_backup: Path, uploads: Path) -> None:
    before = read_rows()
    User.objects.all().update(full_name="Somebody else")
    Login.objects.all().delete()
    (uploads / "acme" / "bucket" / "later.png").write_bytes(b"later")
    call_command("restore", str(small_backup), replace=True)
    assert read_rows() == before
    assert not (uploads / "acme" / "bucket" / "later.png").exists()
    assert (uploads / "acme" / "bucket" / "bild größe.png").exists()


def add_migration(manifest: Any) -> None:
    manifest["migrations"].append("notes.0099_later")


def remove_migration(manifest: Any) -> None:
    manifest["migrations"].remove("notes.0001_initial")


def remove_column(manifest: Any) -> None:
    del manifest["schema"]["notes_note"]["title"]


def add_column(manifest: Any) -> None:
    manifest["schema"]["notes_note"]["headline"] = "text"


def rename_column(manifest: Any) -> None:
    columns = manifest["schema"]["notes_note"]
    columns["headline"] = columns.pop("title")


def change_type(manifest: Any) -> None:
    manifest["schema"]["notes_note"]["title"] = "boolean"


def add_table(manifest: Any) -> None:
    manifest["schema"]["notes_extra"] = {"id": "uuid not null"}


def remove_table(manifest: Any) -> None:
    del manifest["schema"]["notes_note"]


def set_old_format(manifest: Any) -> None:
    manifest["format"] = 1


def remove_format(manifest: Any) -> None:
    del manifest["format"]


def remove_schema(manifest: Any) -> None:
    del manifest["schema"]


def test_a_restore_whose_files_are_elsewhere_is_left_to_another_machine(uploads: Path) -> None:
    PendingRestore.objects.create()
    prepare_database()
    assert PendingRestore.objects.exists()
    assert (uploads / "acme" / "bucket").is_dir()


def test_files_written_during_a_killed_swap_do_not_stop_it(uploads: Path, settings: Any) -> None:
    settings.BACKUP_FOLDERS = {"uploads": uploads}
    restore = PendingRestore.objects.create()
    work = uploads.with_name(f".{uploads.name}.restore-{restore.pk}")
    for name in ("new", "old0"):
        (work / name).mkdir(parents=True)
        (work / name / "file").write_text(name)
    prepare_database()
    assert (uploads / "file").read_text() == "new"
    assert not work.exists()


class TestRefusedBackups:
    def assert_refused(self, path: Path, message: str) -> None:
        before = read_rows()
        with pytest.raises(CommandError, match=message):
            call_command("restore", str(path), replace=True)
        assert read_rows() == before

    def test_a_truncated_file(self, small_backup: Path) -> None:
        original = small_backup.read_bytes()
        for length in (0, 1, 10, 100, 1000, len(original) // 2, -1000, -30, -1):
            small_backup.write_bytes(original[:length])
            self.assert_refused(small_backup, "is not a backup or is damaged")

    def test_a_file_with_a_flipped_bit(self, small_backup: Path) -> None:
        original = small_backup.read_bytes()
        for position in range(100, len(original), len(original) // 25):
            small_backup.write_bytes(
                original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :]
            )
            # Some bits do not matter: the file still decompresses to the same bytes.
            if decompress(small_backup.read_bytes()) != decompress(original):
                self.assert_refused(small_backup, "damaged")

    def test_a_repacked_file_with_changed_rows(self, small_backup: Path) -> None:
        content = gzip.decompress(small_backup.read_bytes()).replace(b"Zo\xc3\xab", b"Zoey")
        small_backup.write_bytes(gzip.compress(content))
        self.assert_refused(small_backup, "is damaged: tables/accounts_user")

    def test_a_file_that_is_not_a_backup(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("hello")
        self.assert_refused(tmp_path / "text", "is not a backup")
        self.assert_refused(tmp_path / "nothing", "cannot be read: No such file")
        self.assert_refused(tmp_path, "cannot be read")

    @pytest.mark.parametrize(
        ("message", "change"),
        [
            ("lacks the migrations notes.0099_later", add_migration),
            ("lacks the migrations notes.0001_initial of the database", remove_migration),
            ("only the database has the column notes_note.title", remove_column),
            ("only the backup has the column notes_note.headline", add_column),
            ("only the backup has the column notes_note.headline", rename_column),
            (r"notes_note.title is boolean in the backup and \w+", change_type),
            ("only the backup has the table notes_extra", add_table),
            ("only the database has the table notes_note", remove_table),
            ("has the backup format 1, and this version reads format 2", set_old_format),
            ("has the backup format None", remove_format),
            ("is not a backup or is damaged.*manifest is invalid", remove_schema),
        ],
    )
    def test_a_backup_of_another_schema(
        self, small_backup: Path, message: str, change: Callable[[Any], None]
    ) -> None:
        change_manifest(small_backup, change)
        self.assert_refused(small_backup, message)

    def test_a_database_with_a_renamed_column(self, small_backup: Path) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE notes_note RENAME COLUMN title TO headline")
            try:
                message = "only the database has the column notes_note.headline"
                self.assert_refused(small_backup, message)
            finally:
                cursor.execute("ALTER TABLE notes_note RENAME COLUMN headline TO title")

    def test_a_file_outside_the_folders(self, small_backup: Path, tmp_path: Path) -> None:
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        name = "files/uploads/../../outside"
        change_manifest(small_backup, lambda m: m["files"].update({name: empty}), extra=name)
        self.assert_refused(small_backup, "outside its folders")
        assert not (tmp_path / "outside").exists()


def decompress(compressed: bytes) -> bytes | None:
    try:
        return gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error):
        return None


def change_manifest(path: Path, change: Any, extra: str = "") -> None:
    """Repack the backup with a changed manifest, and with an empty file named `extra`."""
    with tarfile.open(path) as archive:
        members = [(m, archive.extractfile(m).read()) for m in archive]
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            if member.name == "manifest.json":
                if extra:
                    archive.addfile(tarfile.TarInfo(extra))
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
