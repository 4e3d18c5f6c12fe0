"""The job of a session, run in this process with a real folder and database."""

import hashlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from accounts.models import PasswordReset, User
from common.jobs import runner
from uploads import file_rows, progress, services, session_job
from uploads.counters import COUNTER_FIELDS, SessionCounters
from uploads.models import Cycle, Session
from uploads.tests.factories import SessionFactory
from uploads.tests.file_trees import checksums, inodes, write_files
from uploads.transfer import copy_pool, source_folder
from uploads.transfer.copy_pool import FinishedTask
from uploads.transfer.file_copier import FileCopier
from uploads.transfer.source_file import SourceFile
from uploads.transfer.source_folder import INVALID_NAME
from uploads.transfer.stores import Store, store_for

pytestmark = pytest.mark.django_db

Status = Session.Status


@pytest.fixture(autouse=True)
def _short_retry_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_pool, "FIRST_RETRY_DELAY_S", 0.01)


@pytest.fixture
def bucket(settings: Any, tmp_path: Path) -> Path:
    """The folder of acme's bucket."""
    settings.UPLOAD_SOURCE_ROOT = tmp_path / "sources"
    settings.STORAGES = settings.STORAGES | {
        "uploads": settings.STORAGES["uploads"] | {"OPTIONS": {"root": tmp_path / "uploads"}}
    }
    return tmp_path / "uploads" / "acme" / "field-data"


@pytest.fixture
def day(bucket: Path, tmp_path: Path) -> Path:
    """The source folder of the sessions."""
    folder = tmp_path / "sources" / "acme" / "day-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def create(cycle: Cycle, owner: User) -> Callable[..., Session]:
    def create(**fields: Any) -> Session:
        return SessionFactory(cycle=cycle, user=owner, times_to_retry=1, **fields)

    return create


def run(session: Session) -> Session:
    """Start a session and run its job as a worker does."""
    if session.status == Status.PENDING:
        session.start()
    runner.run(Session, session.pk)
    session.refresh_from_db()
    if session.status != Status.CANCELLED:
        assert session.counters == session.files.counters()
    return session


def status_and_counts(session: Session) -> tuple[str, int, int, int]:
    return session.status, session.files_uploaded, session.files_skipped, session.files_failed


def errors(session: Session) -> dict[str, str]:
    return dict(session.files.filter(status="failed").values_list("path", "error"))


def test_each_file_is_uploaded_to_its_key_with_its_checksum(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 40)
    (day / "large").write_bytes(os.urandom(3_000_000))
    session = run(create(prefix="2026/spring"))
    assert status_and_counts(session) == (Status.COMPLETED, 41, 0, 0)
    expected = checksums(day)
    assert checksums(bucket / "2026" / "spring") == expected
    assert dict(session.files.values_list("path", "sha256")) == expected
    assert dict(session.files.values_list("key", "attempts")) == {
        f"2026/spring/{path}": 1 for path in expected
    }
    assert session.bytes_uploaded == session.total_size_bytes == size_of(day)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_an_empty_folder_is_completed(day: Path, create: Callable[..., Session]) -> None:
    session = run(create())
    assert (session.status, session.counters) == (Status.COMPLETED, SessionCounters())


@pytest.mark.parametrize("directory", ["day-2", "day-1/file", "link", "../rival", "/etc"])
def test_an_invalid_folder_fails_the_session(
    day: Path, create: Callable[..., Session], directory: str
) -> None:
    (day / "file").write_text("x")
    (day.parent / "link").symlink_to("/etc")
    session = run(create(local_directory=directory))
    assert (session.status, session.attempts) == (Status.FAILED, 1)
    assert directory in session.error


def test_globs_select_files(day: Path, bucket: Path, create: Callable[..., Session]) -> None:
    write_files(day, 20)
    session = run(create(include=["*.csv"], exclude=["day 1/**", "*-0002.csv"]))
    chosen = {
        path for path in checksums(day) if not path.startswith("day 1") and "0002" not in path
    }
    assert set(checksums(bucket)) == chosen
    assert session.total_files == len(chosen)


def test_a_stored_glob_that_is_no_longer_valid_fails_the_session_with_the_reason(
    day: Path, create: Callable[..., Session]
) -> None:
    session = run(create(include=["*.{csv,txt}"]))
    assert (session.status, session.attempts) == (Status.FAILED, 1)
    assert "contains braces" in session.error


def test_the_files_of_an_unchanged_folder_are_skipped(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 20)
    run(create())
    inodes_before = inodes(bucket)
    again = run(create())
    assert (status_and_counts(again), again.bytes_uploaded) == ((Status.COMPLETED, 0, 20, 0), 0)
    assert inodes(bucket) == inodes_before
    assert dict(again.files.values_list("path", "sha256")) == checksums(day)


def test_new_changed_and_lost_files_are_uploaded(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 20)
    run(create())
    changed, touched, lost, spoilt = sorted(path for path in checksums(day))[:4]
    (day / changed).write_bytes(b"changed")
    os.utime(day / touched)
    (bucket / lost).unlink()
    (bucket / spoilt).write_bytes(b"x" * (day / spoilt).stat().st_size)
    (day / "new").write_bytes(b"new")
    assert status_and_counts(run(create())) == (Status.COMPLETED, 5, 16, 0)
    assert checksums(bucket) == checksums(day)


def test_with_checksums_only_the_content_is_compared(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 10)
    run(create())
    touched, spoilt = sorted(checksums(day))[:2]
    os.utime(day / touched)
    stat = (bucket / spoilt).stat()
    (bucket / spoilt).write_bytes(b"x" * stat.st_size)
    os.utime(bucket / spoilt, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert status_and_counts(run(create())) == (Status.COMPLETED, 1, 9, 0)
    (bucket / spoilt).write_bytes(b"x" * stat.st_size)
    os.utime(bucket / spoilt, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert status_and_counts(run(create(verify="checksum"))) == (Status.COMPLETED, 1, 9, 0)
    assert checksums(bucket) == checksums(day)


def test_one_failed_file_makes_a_session_partial_and_a_retry_uploads_only_it(
    day: Path, bucket: Path, create: Callable[..., Session], owner: User
) -> None:
    write_files(day, 1000, max_bytes=100)
    bad = sorted(checksums(day))[500]
    (bucket / bad / "in the way").mkdir(parents=True)
    session = run(create())
    assert status_and_counts(session) == (Status.PARTIAL, 999, 0, 1)
    assert session.error == "1 of 1000 files failed; the file list gives the reason for each."
    assert list(errors(session)) == [bad]
    inodes_before = inodes(bucket)
    shutil.rmtree(bucket / bad)
    (day / "came later").write_text("x")
    run(services.retry_session(session, by=owner))
    assert status_and_counts(session) == (Status.COMPLETED, 1000, 0, 0)
    assert session.error == ""
    assert inodes_before.items() <= inodes(bucket).items()
    assert len(inodes(bucket)) == 1000


def test_a_retry_scans_a_folder_that_could_not_be_read(
    day: Path, bucket: Path, create: Callable[..., Session], owner: User
) -> None:
    session = create(prefix="p")
    session.files.create(
        company=session.company, path="shut/", key="p/shut/", status="failed", error="It is shut."
    )
    Session.objects.update(
        status="partial", listed_at="2026-01-01T00:00Z", total_files=1, files_failed=1
    )
    session.refresh_from_db()
    write_files(day / "shut", 3)
    (day / "other").write_text("x")
    run(services.retry_session(session, by=owner))
    assert status_and_counts(session) == (Status.COMPLETED, 3, 0, 0)
    assert set(checksums(bucket / "p" / "shut")) == set(checksums(day / "shut"))


def test_an_invalid_name_fails_again_with_the_same_reason(
    day: Path, create: Callable[..., Session], owner: User
) -> None:
    for name in (b"file-\xff", b"folder-\xff/file"):
        path = Path(os.fsdecode(os.fsencode(day) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    session = run(create())
    errors_before = errors(session)
    assert set(errors_before) == {r"file-\xff", r"folder-\xff/"}
    assert set(errors_before.values()) == {f"{INVALID_NAME} It is not valid UTF-8."}
    run(services.retry_session(session, by=owner))
    assert errors(session) == dict.fromkeys(errors_before, INVALID_NAME)


def test_a_session_fails_if_all_its_files_fail(day: Path, create: Callable[..., Session]) -> None:
    for name in (b"one\n", b"two-\xff"):
        Path(os.fsdecode(os.fsencode(day) + b"/" + name)).write_text("x")
    session = run(create())
    assert status_and_counts(session) == (Status.FAILED, 0, 0, 2)


def test_links_pipes_and_sockets_are_skipped_with_the_reason(
    day: Path, bucket: Path, create: Callable[..., Session], owner: User
) -> None:
    outside = day.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (day / "file").write_text("x")
    links = {"to-file": "file", "to-folder": "../outside", "out": "/etc/passwd", "dangling": "none"}
    for name, target in links.items():
        (day / name).symlink_to(target)
    os.mkfifo(day / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(day / "socket"))
        session = run(create())
    assert status_and_counts(session) == (Status.COMPLETED, 1, 6, 0)
    assert (session.total_files, session.error, session.progress) == (7, "", 1)
    skipped = dict(session.files.filter(status="skipped").values_list("path", "error"))
    assert skipped == dict.fromkeys(links, "It is a symbolic link; links are not followed.") | {
        "pipe": "It is a named pipe, not a regular file.",
        "socket": "It is a socket, not a regular file.",
    }
    assert set(checksums(bucket)) == {"file"}


def test_a_file_that_was_replaced_by_a_link_before_it_was_read_is_skipped(
    day: Path, bucket: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (day / name).write_bytes(b"xx")
    copy = FileCopier.copy

    def replace_and_copy(copier: FileCopier, path: str, key: str) -> Any:
        if path == "b":
            (day / "b").unlink()
            (day / "b").symlink_to("/etc/passwd")
        return copy(copier, path, key)

    monkeypatch.setattr(FileCopier, "copy", replace_and_copy)
    session = run(create())
    assert status_and_counts(session) == (Status.COMPLETED, 1, 1, 0)
    assert session.total_size_bytes == 2
    assert set(checksums(bucket)) == {"a"}


# In seconds since 1970: before it, in 1901, at 0, and after what 64 bits of nanoseconds contain.
@pytest.mark.parametrize("seconds", [-1.5, -(2**31), 0, 2**31, 9_223_372_037, 10_413_792_000])
def test_a_file_with_an_unusual_date_is_uploaded_once(
    day: Path, bucket: Path, create: Callable[..., Session], seconds: float
) -> None:
    for name in ("usual", "unusual"):
        (day / name).write_text(name)
    mtime_ns = int(seconds * 10**9)
    os.utime(day / "unusual", ns=(0, mtime_ns))
    assert status_and_counts(run(create())) == (Status.COMPLETED, 2, 0, 0)
    assert status_and_counts(run(create())) == (Status.COMPLETED, 0, 2, 0)
    assert checksums(bucket) == checksums(day)


def test_a_file_whose_date_the_store_cannot_keep_is_compared_by_content(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    for name in ("same", "changed"):
        (day / name).write_text(name)
        os.utime(day / name, ns=(0, 10_413_792_000 * 10**9))
    run(create())
    for name in ("same", "changed"):
        os.utime(bucket / name)  # as a store that allows only some dates
    (day / "changed").write_text("CHANGED")
    os.utime(day / "changed", ns=(0, 10_413_792_000 * 10**9))
    assert status_and_counts(run(create())) == (Status.COMPLETED, 1, 1, 0)
    assert checksums(bucket) == checksums(day)


def test_files_that_claim_to_be_larger_than_any_disk_fail_alone(
    day: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_folder, "MAX_FILE_TB", 1)
    (day / "usual").write_text("x")
    for name in ("huge", "huge too"):
        with (day / name).open("wb") as file:
            file.truncate(2 * 10**12)
    session = run(create())
    assert status_and_counts(session) == (Status.PARTIAL, 1, 0, 2)
    assert set(errors(session).values()) == {"It has more than 1 TB."}
    assert session.total_size_bytes == 1


def test_a_file_that_changes_while_it_is_read_is_retried_and_then_fails(
    day: Path, bucket: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file changes each time it is read, another only the first time."""
    for name in ("always", "once", "still"):
        (day / name).write_bytes(b"x" * 1000)
    chunks, seen = SourceFile.chunks, []

    def change_before_reading(file: SourceFile, size: int) -> Iterator[Any]:
        if file.path == "always" or (file.path == "once" and "once" not in seen):
            os.utime(day / file.path)
        seen.append(file.path)
        yield from chunks(file, size)

    monkeypatch.setattr(SourceFile, "chunks", change_before_reading)
    session = run(create())
    assert status_and_counts(session) == (Status.PARTIAL, 2, 0, 1)
    assert errors(session) == {"always": "It changed while it was read."}
    assert dict(session.files.values_list("path", "attempts")) == {
        "always": 2,
        "once": 2,
        "still": 1,
    }
    assert set(checksums(bucket)) == {"once", "still"}


def test_a_copied_file_without_a_saved_result_is_recognised_by_its_object(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 10)
    session = run(create())
    inodes_before = inodes(bucket)
    session.files.update(status="pending", sha256="", attempts=0)
    zeros = asdict(SessionCounters()) | {"total_files": 10, "total_size_bytes": size_of(day)}
    Session.objects.update(status="queued", **zeros)
    run(session)
    assert status_and_counts(session) == (Status.COMPLETED, 10, 0, 0)
    assert inodes(bucket) == inodes_before
    assert dict(session.files.values_list("path", "sha256")) == checksums(day)


class BlockedReads:
    """Makes each source file block after its first chunk until `resume` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.resume, self.has_begun = threading.Event(), threading.Event()
        chunks = SourceFile.chunks

        def block(file: SourceFile, size: int) -> Iterator[Any]:
            for chunk in chunks(file, size):
                self.has_begun.set()
                while not self.resume.wait(0.01):
                    file.check()
                yield chunk

        monkeypatch.setattr(SourceFile, "chunks", block)


@pytest.fixture
def blocked_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockedReads]:
    blocked_reads = BlockedReads(monkeypatch)
    yield blocked_reads
    blocked_reads.resume.set()


@pytest.fixture
def run_in_thread() -> Iterator[Callable[[Session], threading.Thread]]:
    """Start a session and run its job in a thread."""
    from django.db import connection

    threads: list[threading.Thread] = []

    def start_thread(session: Session) -> threading.Thread:
        def work() -> None:
            try:
                runner.run(Session, session.pk)
            finally:
                connection.close()

        session.start()
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield start_thread
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_session_stops_in_the_middle_of_a_file_and_can_be_retried(
    day: Path,
    bucket: Path,
    create: Callable[..., Session],
    blocked_reads: BlockedReads,
    run_in_thread: Callable[[Session], threading.Thread],
    owner: User,
) -> None:
    write_files(day, 5)
    session = create(max_workers=2)
    thread = run_in_thread(session)
    assert blocked_reads.has_begun.wait(10)
    services.cancel_session(session, by=owner)
    thread.join(2)
    assert not thread.is_alive()
    session.refresh_from_db()
    assert (session.status, session.total_files, checksums(bucket)) == (Status.CANCELLED, 5, {})
    assert not [p for p in bucket.parents[1].rglob("*") if p.is_file()]
    blocked_reads.resume.set()
    run(services.retry_session(session, by=owner))
    assert status_and_counts(session) == (Status.COMPLETED, 5, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_has_lost_its_lease_writes_nothing(
    day: Path,
    create: Callable[..., Session],
    blocked_reads: BlockedReads,
    run_in_thread: Callable[[Session], threading.Thread],
) -> None:
    write_files(day, 5)
    session = create()
    thread = run_in_thread(session)
    assert blocked_reads.has_begun.wait(10)
    Session.objects.update(run_id="00000000-0000-0000-0000-000000000001")
    thread.join(2)
    assert not thread.is_alive()
    session.refresh_from_db()
    assert (session.status, session.files_uploaded) == (Status.IN_PROGRESS, 0)
    assert set(session.files.values_list("status", flat=True)) == {"pending"}


def test_progress_is_written_at_most_twice_a_second_and_never_decreases(
    day: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(day, 120, max_bytes=10)
    session = create(max_workers=1)
    save_results, copy = file_rows.FileRows.save_results, FileCopier.copy
    written: list[tuple[float, SessionCounters]] = []

    def save_and_record(self: file_rows.FileRows, finished: list[FinishedTask]) -> None:
        save_results(self, finished)
        written.append((time.monotonic(), Session.objects.get(pk=session.pk).counters))

    def copy_slowly(self: FileCopier, path: str, key: str) -> Any:
        time.sleep(0.01)
        return copy(self, path, key)

    monkeypatch.setattr(file_rows.FileRows, "save_results", save_and_record)
    monkeypatch.setattr(FileCopier, "copy", copy_slowly)
    run(session)
    *intervals, _ = [later[0] - sooner[0] for sooner, later in pairwise(written)]
    assert intervals
    assert min(intervals) >= progress.MIN_WRITE_INTERVAL_S
    for sooner, later in pairwise(counters for _, counters in written):
        assert all(getattr(sooner, name) <= getattr(later, name) for name in COUNTER_FIELDS)
    assert 0 < written[0][1].files_uploaded < 120


def test_a_run_that_makes_progress_gives_back_attempts(
    day: Path, create: Callable[..., Session]
) -> None:
    write_files(day, 3)
    session = create()
    session.start()
    Session.objects.update(attempts=Session.max_attempts - 1)
    run(session)
    assert (session.status, session.attempts) == (Status.COMPLETED, Session.max_attempts // 2)


def test_a_session_has_a_longer_time_limit_than_other_jobs() -> None:
    from common.jobs.publishing import celery_time_limits

    assert celery_time_limits(Session.time_limit)["soft_time_limit"] >= 24 * 3600
    assert celery_time_limits(PasswordReset.time_limit) == {}


def test_an_unexpected_error_fails_only_its_file(
    day: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(day, 5)
    bad = sorted(checksums(day))[0]
    copy = FileCopier.copy

    def fail_for_one_file(self: FileCopier, path: str, key: str) -> Any:
        if path == bad:
            raise ZeroDivisionError
        return copy(self, path, key)

    monkeypatch.setattr(FileCopier, "copy", fail_for_one_file)
    session = run(create())
    assert errors(session) == {bad: "Unexpected error: ZeroDivisionError."}
    assert status_and_counts(session) == (Status.PARTIAL, 4, 0, 1)


def test_a_key_that_is_a_folder_in_the_store_fails_only_its_file(
    day: Path, bucket: Path, create: Callable[..., Session]
) -> None:
    (bucket / "a").mkdir(parents=True)
    (bucket / "a" / "b").write_text("x")
    (day / "a").write_text("x")
    (day / "c").write_text("x")
    session = run(create())
    assert errors(session) == {"a": "Its key is a folder with other objects in the store."}


def stored_checksum(store: Store, key: str) -> str:
    body = store.client.get_object(Bucket="field-data", Key=key)["Body"].read()
    return hashlib.sha256(body).hexdigest()


def test_a_session_uploads_skips_and_verifies_on_s3(
    day: Path, create: Callable[..., Session], on_s3: None, owner: User
) -> None:
    store = store_for("acme", "field-data")
    store.client.create_bucket(Bucket="field-data")
    write_files(day, 4)
    (day / "large").write_bytes(os.urandom(9_000_000))
    session = run(create(prefix="s3", max_workers=2))
    assert status_and_counts(session) == (Status.COMPLETED, 5, 0, 0)
    assert {path: stored_checksum(store, f"s3/{path}") for path in checksums(day)} == checksums(day)
    assert dict(session.files.values_list("path", "sha256")) == checksums(day)
    assert status_and_counts(run(create(prefix="s3"))) == (Status.COMPLETED, 0, 5, 0)
    lost = sorted(checksums(day))[0]
    store.client.delete_object(Bucket="field-data", Key=f"s3/{lost}")
    assert status_and_counts(run(create(prefix="s3", verify="checksum"))) == (
        Status.COMPLETED,
        1,
        4,
        0,
    )


def test_a_session_is_queued_again_if_its_store_does_not_answer(
    day: Path, create: Callable[..., Session], settings: Any
) -> None:
    settings.UPLOAD_STORAGE = "s3"
    settings.S3_BUCKETS = {"acme": ["field-data"]}
    options = {"endpoint_url": "http://127.0.0.1:9", "access_key": "k", "secret_key": "s"}
    settings.STORAGES = settings.STORAGES | {
        "uploads": {"BACKEND": "uploads.transfer.stores.s3.S3Store", "OPTIONS": options}
    }
    session = run(create())
    assert session.status == Status.QUEUED
    assert "does not answer" in session.error
    settings.S3_BUCKETS = {}
    Session.objects.update(run_after="2026-01-01T00:00Z")
    run(session)
    assert session.status == Status.FAILED
    assert "not open to your company" in session.error


def test_all_pages_of_a_large_folder_are_uploaded(
    day: Path, bucket: Path, create: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(file_rows, "PAGE_ROWS", 7)
    monkeypatch.setattr(session_job, "PAGE_ROWS", 7)
    monkeypatch.setattr(copy_pool, "MAX_UNFINISHED_TASKS", 10)
    write_files(day, 50, max_bytes=10)
    assert status_and_counts(run(create())) == (Status.COMPLETED, 50, 0, 0)
    assert checksums(bucket) == checksums(day)
