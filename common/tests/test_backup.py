"""A backup brings everything back, and a bad one changes nothing."""

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
from common import backup
from common.backup.tables import tables, with_rows
from config.environment import BASE_DIR
from notes.tests.factories import NoteFactory
from posts.models import Post

pytestmark = pytest.mark.django_db(transaction=True)

AWKWARD = "tab\t, line\n, backslash \\ and \\N, quote ' \" and \\. or Ünïcödé 🐘"
FRESH = "bureau_restored"


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of uploaded files, with one in a name that is no English."""
    folder = tmp_path / "uploads"
    (folder / "acme" / "bucket").mkdir(parents=True)
    (folder / "acme" / "bucket" / "bild größe.png").write_bytes(bytes(range(256)) * 5000)
    (folder / ".incoming").mkdir()
    (folder / ".incoming" / "half").write_bytes(b"half")
    monkeypatch.setattr(settings, "BACKUP_FOLDERS", {"uploads": folder})
    return folder


@pytest.fixture
def everything(uploads: Path) -> None:
    """Rows in the tables of all apps."""
    call_command("seed_admin", password=PASSWORD)
    call_command("seed_demo", password=PASSWORD)
    admin = UserFactory(username="boss", role=Role.ADMIN)
    agent = UserFactory(company=admin.company, username="agent", full_name="Zoë 'Ann' \\ Ågren")
    services.invite(by=admin, company=admin.company, email="new@example.org", role="agent")
    services.deactivate(agent, by=admin)
    NoteFactory(user=agent, title="Awkward", raw_text=AWKWARD)
    ProductFactory.create_batch(3, company=admin.company)
    Post.objects.create(id=1, user_id=1, title=AWKWARD, body="")
    TaskResult.objects.create(task_id="1", result=json.dumps(AWKWARD))
    client = Client()
    login = {"email": admin.email, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", login, "application/json").status_code == 200
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    signup = {"email": "late@example.org", "password": PASSWORD}
    settings.SIGNUP = "open"
    assert client.post("/api/v1/auth/signup", signup, "application/json", **key).status_code == 201


@pytest.fixture
def little(uploads: Path, tmp_path: Path) -> Path:
    """A backup of a few rows, which are still there."""
    NoteFactory(user__full_name="Zoë", raw_text=AWKWARD)
    backup.write(tmp_path / "backup.tar.gz")
    return tmp_path / "backup.tar.gz"


@pytest.fixture
def fresh_database() -> Iterator[str]:
    """The URL of a database with the tables of this one and no rows; made before there are any."""
    known = connection.settings_dict
    address = {"host": known["HOST"], "port": known["PORT"], "user": known["USER"]}
    name = f"{FRESH}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name}")
        server.execute(f"CREATE DATABASE {name} TEMPLATE {known['NAME']}")
    given = {key: str(value) for key, value in address.items() if value}
    yield f"postgresql:///{name}?{urlencode(given, quote_via=quote)}"
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def made(everything: None, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar.gz"
    backup.write(path)
    return path


def rows(url: str = "") -> dict[str, list[str]]:
    """Every row of every table as text; of this database without a URL."""
    found = {}
    names = [table.name for table in tables()]
    with psycopg.connect(url) if url else connection.cursor() as database:
        for name in names:
            cursor = database.execute(f'SELECT t::text FROM "{name}" t ORDER BY 1')
            found[name] = [row[0] for row in (cursor or database).fetchall()]
    return found


def restore_into(url: str, path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command itself, in a process and an installation of its own."""
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


def test_all_comes_back(fresh_database: str, made: Path, uploads: Path, tmp_path: Path) -> None:
    before = rows()
    assert sum(1 for found in before.values() if found) >= 16
    done = restore_into(fresh_database, made, tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert rows(fresh_database) == before
    restored = tmp_path / "new" / "uploads"
    assert {p.relative_to(restored): p.read_bytes() for p in restored.rglob("*.*")} == {
        Path("acme/bucket/bild größe.png"): bytes(range(256)) * 5000
    }
    assert not (restored / ".incoming").exists()
    with psycopg.connect(fresh_database) as database:
        last = database.execute("SELECT max(id) FROM django_celery_results_taskresult").fetchone()
        new = database.execute(
            "INSERT INTO django_celery_results_taskresult (task_id, status, content_type,"
            " content_encoding, date_created, date_done)"
            " VALUES ('2', 'SUCCESS', '', '', now(), now()) RETURNING id"
        ).fetchone()
        assert new[0] == last[0] + 1, "ids go on where they were"


def test_it_is_for_its_owner_alone(little: Path) -> None:
    assert little.stat().st_mode & 0o077 == 0
    assert not list(little.parent.glob(".*.part"))


def test_what_is_there_is_not_overwritten_unasked(little: Path) -> None:
    before = rows()
    with pytest.raises(CommandError, match=r"has rows in accounts_company.*say --replace"):
        call_command("restore", str(little))
    assert rows() == before


def test_files_that_are_there_are_not_overwritten_unasked(little: Path, uploads: Path) -> None:
    call_command("flush", interactive=False, verbosity=0)
    with pytest.raises(CommandError, match=r"There are files in .*uploads.*say --replace"):
        call_command("restore", str(little))
    assert not list(with_rows())


def test_replacing_all(little: Path, uploads: Path) -> None:
    before = rows()
    User.objects.all().update(full_name="Somebody else")
    Login.objects.all().delete()
    (uploads / "acme" / "bucket" / "later.png").write_bytes(b"later")
    call_command("restore", str(little), replace=True)
    assert rows() == before
    assert not (uploads / "acme" / "bucket" / "later.png").exists()
    assert (uploads / "acme" / "bucket" / "bild größe.png").exists()


class TestABadFile:
    def refused(self, path: Path, words: str) -> None:
        before = rows()
        with pytest.raises(CommandError, match=words):
            call_command("restore", str(path), replace=True)
        assert rows() == before

    def test_cut_off(self, little: Path) -> None:
        whole = little.read_bytes()
        for kept in (0, 1, 10, 100, 1000, len(whole) // 2, -1000, -30, -1):
            little.write_bytes(whole[:kept])
            self.refused(little, "is no backup or is damaged")

    def test_a_flipped_bit(self, little: Path) -> None:
        whole = little.read_bytes()
        for place in range(100, len(whole), len(whole) // 25):
            little.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            # A match with other zeros than before unpacks to the same bytes.
            if unpacked(little.read_bytes()) != unpacked(whole):
                self.refused(little, "damaged")

    def test_changed_by_somebody_who_packed_it_again(self, little: Path) -> None:
        content = gzip.decompress(little.read_bytes()).replace(b"Zo\xc3\xab", b"Zoey")
        little.write_bytes(gzip.compress(content))
        self.refused(little, "is damaged: tables/accounts_user")

    def test_no_backup_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("hello")
        self.refused(tmp_path / "text", "is no backup")
        self.refused(tmp_path / "nothing", "can't be read: No such file")
        self.refused(tmp_path, "can't be read")

    def test_another_schema_is_named(self, little: Path) -> None:
        whole = little.read_bytes()
        changes: dict[str, Callable[[Any], Any]] = {
            "lacks notes.0099_later": lambda m: m["migrations"].append("notes.0099_later"),
            "has notes.0001_initial": lambda m: m["migrations"].remove("notes.0001_initial"),
            "other.* here: notes_note": lambda m: m["tables"]["notes_note"]["columns"].pop(),
            "has the format 2, not 1": lambda m: m.update(format=2),
        }
        for words, change in changes.items():
            little.write_bytes(whole)
            with_manifest(little, change)
            self.refused(little, words)

    def test_a_path_that_leads_outside(self, little: Path, tmp_path: Path) -> None:
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        name = "files/uploads/../../outside"
        with_manifest(little, lambda m: m["files"].update({name: empty}), extra=name)
        self.refused(little, "outside of its folders")
        assert not (tmp_path / "outside").exists()


def unpacked(packed: bytes) -> bytes | None:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        return None


def with_manifest(path: Path, change: Any, extra: str = "") -> None:
    """Pack the backup anew, with its manifest changed and an empty file besides."""
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
