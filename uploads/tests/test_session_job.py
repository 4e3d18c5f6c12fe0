"""Sessions as a worker performs them, in this process, on a folder and on a real database."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from accounts.models import PasswordReset, User
from common.jobs import runner
from uploads import file_rows, progress, services, session_job
from uploads.models import COUNTER_FIELDS, Cycle, Session
from uploads.tests.factories import SessionFactory
from uploads.tests.file_trees import contents, grow, inodes
from uploads.transfer import worker_pool
from uploads.transfer.source_file import SourceFile
from uploads.transfer.stores import store_for

pytestmark = pytest.mark.django_db

Status = Session.Status


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "FIRST_RETRY_DELAY_S", 0.01)


@pytest.fixture
def bucket(settings: Any, tmp_path: Path) -> Path:
    """Where the objects of acme's bucket lie."""
    settings.UPLOAD_SOURCE_ROOT = tmp_path / "sources"
    settings.STORAGES = settings.STORAGES | {
        "uploads": settings.STORAGES["uploads"] | {"OPTIONS": {"root": tmp_path / "uploads"}}
    }
    return tmp_path / "uploads" / "acme" / "field-data"


@pytest.fixture
def day(bucket: Path, tmp_path: Path) -> Path:
    """The folder that sessions upload."""
    folder = tmp_path / "sources" / "acme" / "day-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def make(cycle: Cycle, owner: User) -> Callable[..., Session]:
    def make(**fields: Any) -> Session:
        return SessionFactory(cycle=cycle, user=owner, times_to_retry=1, **fields)

    return make


def run(session: Session) -> Session:
    """Start it, and do what a worker does."""
    if session.status == Status.PENDING:
        session.start()
    runner.run(Session, session.pk)
    session.refresh_from_db()
    if session.status != Status.CANCELLED:
        assert figures(session) == session.files.counters()
    return session


def figures(session: Session) -> dict[str, int]:
    return {name: getattr(session, name) for name in COUNTER_FIELDS}


def counts(session: Session) -> tuple[str, int, int, int]:
    return session.status, session.files_uploaded, session.files_skipped, session.files_failed


def errors(session: Session) -> dict[str, str]:
    return dict(session.files.filter(status="failed").values_list("path", "error"))


def test_each_file_arrives_under_its_key_with_its_sum(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    grow(day, 40)
    (day / "large").write_bytes(os.urandom(3_000_000))
    session = run(make(prefix="2026/spring"))
    assert counts(session) == (Status.COMPLETED, 41, 0, 0)
    known = contents(day)
    assert contents(bucket / "2026" / "spring") == known
    assert dict(session.files.values_list("path", "sha256")) == known
    assert dict(session.files.values_list("key", "attempts")) == {
        f"2026/spring/{path}": 1 for path in known
    }
    assert session.bytes_uploaded == session.total_size_bytes == size_of(day)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_an_empty_folder_is_completed(day: Path, make: Callable[..., Session]) -> None:
    session = run(make())
    assert (session.status, figures(session)) == (Status.COMPLETED, dict.fromkeys(COUNTER_FIELDS, 0))


@pytest.mark.parametrize("directory", ["day-2", "day-1/file", "link", "../rival", "/etc"])
def test_a_folder_that_is_none_fails_the_session(
    day: Path, make: Callable[..., Session], directory: str
) -> None:
    (day / "file").write_text("x")
    (day.parent / "link").symlink_to("/etc")
    session = run(make(local_directory=directory))
    assert (session.status, session.attempts) == (Status.FAILED, 1)
    assert directory in session.error


def test_globs_choose(day: Path, bucket: Path, make: Callable[..., Session]) -> None:
    grow(day, 20)
    session = run(make(include=["*.csv"], exclude=["day 1/**", "*-0002.csv"]))
    chosen = {path for path in contents(day) if not path.startswith("day 1") and "0002" not in path}
    assert set(contents(bucket)) == chosen
    assert session.total_files == len(chosen)


def test_the_same_folder_again_is_skipped(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    grow(day, 20)
    run(make())
    known = inodes(bucket)
    again = run(make())
    assert (counts(again), again.bytes_uploaded) == ((Status.COMPLETED, 0, 20, 0), 0)
    assert inodes(bucket) == known
    assert dict(again.files.values_list("path", "sha256")) == contents(day)


def test_what_is_new_or_changed_or_lost_is_sent_again(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    grow(day, 20)
    run(make())
    changed, touched, lost, spoilt = sorted(path for path in contents(day))[:4]
    (day / changed).write_bytes(b"changed")
    os.utime(day / touched)
    (bucket / lost).unlink()
    (bucket / spoilt).write_bytes(b"x" * (day / spoilt).stat().st_size)
    (day / "new").write_bytes(b"new")
    assert counts(run(make())) == (Status.COMPLETED, 5, 16, 0)
    assert contents(bucket) == contents(day)


def test_by_checksum_only_contents_count(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    grow(day, 10)
    run(make())
    touched, spoilt = sorted(contents(day))[:2]
    os.utime(day / touched)
    known = (bucket / spoilt).stat()
    (bucket / spoilt).write_bytes(b"x" * known.st_size)
    os.utime(bucket / spoilt, ns=(known.st_mtime_ns, known.st_mtime_ns))
    assert counts(run(make())) == (Status.COMPLETED, 1, 9, 0)
    (bucket / spoilt).write_bytes(b"x" * known.st_size)
    os.utime(bucket / spoilt, ns=(known.st_mtime_ns, known.st_mtime_ns))
    assert counts(run(make(verify="checksum"))) == (Status.COMPLETED, 1, 9, 0)
    assert contents(bucket) == contents(day)


def test_one_bad_file_makes_it_partial_and_retry_does_that_one(
    day: Path, bucket: Path, make: Callable[..., Session], owner: User
) -> None:
    grow(day, 1000, largest=100)
    bad = sorted(contents(day))[500]
    (day / bad).rename(day.parent / "good")
    (day / bad).symlink_to("/etc/passwd")
    session = run(make())
    assert counts(session) == (Status.PARTIAL, 999, 0, 1)
    assert session.error == "1 of 1000 files did not arrive; their list says why."
    assert list(errors(session)) == [bad]
    known = inodes(bucket)
    (day / bad).unlink()
    (day.parent / "good").rename(day / bad)
    (day / "came later").write_text("x")
    run(services.retry_session(session, by=owner))
    assert counts(session) == (Status.COMPLETED, 1000, 0, 0)
    assert session.error == ""
    assert known.items() <= inodes(bucket).items()
    assert len(inodes(bucket)) == 1000


def test_a_folder_that_could_not_be_read_is_scanned_by_the_retry(
    day: Path, bucket: Path, make: Callable[..., Session], owner: User
) -> None:
    session = make(prefix="p")
    session.files.create(
        company=session.company, path="shut/", key="p/shut/", status="failed", error="It is shut."
    )
    Session.objects.update(
        status="partial", listed_at="2026-01-01T00:00Z", total_files=1, files_failed=1
    )
    session.refresh_from_db()
    grow(day / "shut", 3)
    (day / "other").write_text("x")
    run(services.retry_session(session, by=owner))
    assert counts(session) == (Status.COMPLETED, 3, 0, 0)
    assert set(contents(bucket / "p" / "shut")) == set(contents(day / "shut"))


def test_a_name_that_makes_no_key_fails_again_by_the_same_reason(
    day: Path, make: Callable[..., Session], owner: User
) -> None:
    for name in (b"file-\xff", b"folder-\xff/file"):
        path = Path(os.fsdecode(os.fsencode(day) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    session = run(make())
    known = errors(session)
    assert set(known) == {r"file-\xff", r"folder-\xff/"}
    assert set(known.values()) == {"Its name makes no key. It is no valid UTF-8."}
    run(services.retry_session(session, by=owner))
    assert errors(session) == dict.fromkeys(known, "Its name makes no key.")


def test_all_failed_is_failed(day: Path, make: Callable[..., Session]) -> None:
    os.mkfifo(day / "pipe")
    (day / "link").symlink_to("pipe")
    session = run(make())
    assert counts(session) == (Status.FAILED, 0, 0, 2)


def test_a_file_that_changes_while_it_is_read_is_tried_again_and_named(
    day: Path, bucket: Path, make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file changes each time that it is read, another the first time only."""
    for name in ("always", "once", "still"):
        (day / name).write_bytes(b"x" * 1000)
    compare, seen = SourceFile._check_unchanged, []

    def changed(file: SourceFile, read: int) -> None:
        if file.path == "always" or (file.path == "once" and "once" not in seen):
            os.utime(day / file.path)
        seen.append(file.path)
        compare(file, read)

    monkeypatch.setattr(SourceFile, "_check_unchanged", changed)
    session = run(make())
    assert counts(session) == (Status.PARTIAL, 2, 0, 1)
    assert errors(session) == {"always": "It changed while it was read."}
    assert dict(session.files.values_list("path", "attempts")) == {
        "always": 2,
        "once": 2,
        "still": 1,
    }
    assert set(contents(bucket)) == {"once", "still"}


def test_what_a_run_did_not_write_down_is_known_by_the_object(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    grow(day, 10)
    session = run(make())
    known = inodes(bucket)
    session.files.update(status="pending", sha256="", attempts=0)
    zeros = dict.fromkeys(COUNTER_FIELDS, 0) | {"total_files": 10, "total_size_bytes": size_of(day)}
    Session.objects.update(status="queued", **zeros)
    run(session)
    assert counts(session) == (Status.COMPLETED, 10, 0, 0)
    assert inodes(bucket) == known
    assert dict(session.files.values_list("path", "sha256")) == contents(day)


class Slow:
    """Files that are read no further until `go` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.reading = threading.Event(), threading.Event()
        chunks = SourceFile.chunks

        def slowly(file: SourceFile, size: int) -> Iterator[Any]:
            for chunk in chunks(file, size):
                self.reading.set()
                while not self.go.wait(0.01):
                    file.check()
                yield chunk

        monkeypatch.setattr(SourceFile, "chunks", slowly)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow(monkeypatch)
    yield slow
    slow.go.set()


@pytest.fixture
def beside() -> Iterator[Callable[[Session], threading.Thread]]:
    """Runs a session in a thread."""
    from django.db import connection

    threads: list[threading.Thread] = []

    def begin(session: Session) -> threading.Thread:
        def work() -> None:
            try:
                runner.run(Session, session.pk)
            finally:
                connection.close()

        session.start()
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield begin
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_cancel_stops_in_the_middle_of_a_file_and_keeps_what_is_done(
    day: Path,
    bucket: Path,
    make: Callable[..., Session],
    slow: Slow,
    beside: Callable[[Session], threading.Thread],
    owner: User,
) -> None:
    grow(day, 5)
    session = make(max_workers=2)
    thread = beside(session)
    assert slow.reading.wait(10)
    services.cancel_session(session, by=owner)
    thread.join(2)
    assert not thread.is_alive()
    session.refresh_from_db()
    assert (session.status, session.total_files, contents(bucket)) == (Status.CANCELLED, 5, {})
    assert not [p for p in bucket.parents[1].rglob("*") if p.is_file()]
    slow.go.set()
    run(services.retry_session(session, by=owner))
    assert counts(session) == (Status.COMPLETED, 5, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_lost_its_lease_writes_nothing_more(
    day: Path,
    make: Callable[..., Session],
    slow: Slow,
    beside: Callable[[Session], threading.Thread],
) -> None:
    grow(day, 5)
    session = make()
    thread = beside(session)
    assert slow.reading.wait(10)
    Session.objects.update(run_id="00000000-0000-0000-0000-000000000001")
    thread.join(2)
    assert not thread.is_alive()
    session.refresh_from_db()
    assert (session.status, session.files_uploaded) == (Status.IN_PROGRESS, 0)
    assert set(session.files.values_list("status", flat=True)) == {"pending"}


def test_progress_is_written_at_most_twice_a_second_and_never_falls(
    day: Path, make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(day, 120, largest=10)
    session = make(max_workers=1)
    write, copy = progress.ProgressWriter._write, file_copier.FileCopier.copy
    written: list[tuple[float, dict[str, int]]] = []

    def watched(self: progress.ProgressWriter) -> None:
        write(self)
        written.append((time.monotonic(), figures(Session.objects.get(pk=session.pk))))

    def slowly(self: file_copier.FileCopier, path: str, key: str) -> Any:
        time.sleep(0.01)
        return copy(self, path, key)

    monkeypatch.setattr(progress.ProgressWriter, "_write", watched)
    monkeypatch.setattr(file_copier.FileCopier, "copy", slowly)
    run(session)
    *pauses, _ = [later[0] - sooner[0] for sooner, later in pairwise(written)]
    assert pauses
    assert min(pauses) >= progress.MIN_WRITE_INTERVAL_S
    for sooner, later in pairwise(seen for _, seen in written):
        assert all(sooner[name] <= later[name] for name in COUNTER_FIELDS)
    assert 0 < written[0][1]["files_uploaded"] < 120


def test_tries_that_get_on_do_not_use_up_the_session(
    day: Path, make: Callable[..., Session]
) -> None:
    grow(day, 3)
    session = make()
    session.start()
    Session.objects.update(attempts=Session.max_attempts - 1)
    run(session)
    assert (session.status, session.attempts) == (Status.COMPLETED, Session.max_attempts // 2)


def test_a_session_may_take_longer_than_a_task() -> None:
    from common.jobs.publishing import _limits

    assert _limits(Session.time_limit)["soft_time_limit"] >= 24 * 3600
    assert _limits(PasswordReset.time_limit) == {}


def test_an_unexpected_error_is_one_files_own(
    day: Path, make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(day, 5)
    bad = sorted(contents(day))[0]
    copy = file_copier.FileCopier._copy

    def failing(self: Any, file: SourceFile, key: str) -> Any:
        if file.path == bad:
            raise ZeroDivisionError
        return copy(self, file, key)

    monkeypatch.setattr(file_copier.FileCopier, "_copy", failing)
    session = run(make())
    assert errors(session) == {bad: "Unexpected error: ZeroDivisionError."}
    assert counts(session) == (Status.PARTIAL, 4, 0, 1)


def test_keys_in_each_others_way_are_each_files_own_error(
    day: Path, bucket: Path, make: Callable[..., Session]
) -> None:
    (bucket / "a").mkdir(parents=True)
    (bucket / "a" / "b").write_text("x")
    (day / "a").write_text("x")
    (day / "c").write_text("x")
    session = run(make())
    assert errors(session) == {"a": "Its key is a folder in the store, with other objects in it."}


def test_on_s3_the_same_holds(
    day: Path, make: Callable[..., Session], on_s3: None, owner: User
) -> None:
    store = store_for("acme", "field-data")
    store._client.create_bucket(Bucket="field-data")
    grow(day, 4)
    (day / "large").write_bytes(os.urandom(9_000_000))
    session = run(make(prefix="s3", max_workers=2))
    assert counts(session) == (Status.COMPLETED, 5, 0, 0)
    assert {path: store._compute_sha256(f"s3/{path}") for path in contents(day)} == contents(day)
    assert dict(session.files.values_list("path", "sha256")) == contents(day)
    assert counts(run(make(prefix="s3"))) == (Status.COMPLETED, 0, 5, 0)
    lost = sorted(contents(day))[0]
    store._client.delete_object(Bucket="field-data", Key=f"s3/{lost}")
    assert counts(run(make(prefix="s3", verify="checksum"))) == (Status.COMPLETED, 1, 4, 0)


def test_a_store_that_fails_for_now_is_asked_again_later(
    day: Path, make: Callable[..., Session], settings: Any
) -> None:
    settings.UPLOAD_STORAGE = "s3"
    settings.S3_BUCKETS = {"acme": ["field-data"]}
    options = {"endpoint_url": "http://127.0.0.1:9", "access_key": "k", "secret_key": "s"}
    settings.STORAGES = settings.STORAGES | {
        "uploads": {"BACKEND": "uploads.transfer.stores.s3.S3Store", "OPTIONS": options}
    }
    session = run(make())
    assert session.status == Status.QUEUED
    assert "does not answer" in session.error
    settings.S3_BUCKETS = {}
    Session.objects.update(run_after="2026-01-01T00:00Z")
    run(session)
    assert session.status == Status.FAILED
    assert "not open to your company" in session.error


def test_pages_are_read_to_the_end(
    day: Path, bucket: Path, make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(file_rows, "PAGE_ROWS", 7)
    monkeypatch.setattr(session_job, "PAGE_ROWS", 7)
    monkeypatch.setattr(worker_pool, "MAX_UNFINISHED_TASKS", 10)
    grow(day, 50, largest=10)
    assert counts(run(make())) == (Status.COMPLETED, 50, 0, 0)
    assert contents(bucket) == contents(day)
