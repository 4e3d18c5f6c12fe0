"""Folder and S3 stores: objects are complete, and companies are separated."""

import hashlib
import io
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from uploads.transfer import object_folder
from uploads.transfer.content import Bytes, ReceivedContent, StoredObject
from uploads.transfer.errors import (
    ContentTooLarge,
    SourceChanged,
    StoreBusy,
    StoreError,
    TransferCancelled,
)
from uploads.transfer.stores import Store, bucket_problem, store_for
from uploads.transfer.stores.s3 import PART_BYTES, S3Store

pytestmark = pytest.mark.slow

BUCKET = "field-data"
MTIME = 1_700_000_000_123_456_789
LARGE_BYTES = 2 * PART_BYTES + 5


class BytesContent:
    """The content of an object from memory; raises `error` instead of ending."""

    mtime_ns = MTIME
    sha256 = ""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self.data = data
        self.size = len(data)
        self.error = error

    def chunks(self, size: int) -> Iterator[Bytes]:
        for start in range(0, self.size, size):
            yield memoryview(self.data)[start : start + size]
        if self.error:
            raise self.error
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def check(self) -> None:
        """Accept the object."""


@pytest.fixture
def in_folder(settings: Any, tmp_path: Path) -> Path:
    settings.STORAGES = settings.STORAGES | {
        "uploads": {
            "BACKEND": "uploads.transfer.stores.folder.FolderStore",
            "OPTIONS": {"root": tmp_path},
        }
    }
    return tmp_path


@pytest.fixture
def in_folder_without_tmpfile(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Simulate a file system without O_TMPFILE: with O_RDONLY it fails the same way."""
    monkeypatch.setattr(object_folder, "TMPFILE_FLAGS", getattr(os, "O_TMPFILE", 0) | os.O_RDONLY)
    return in_folder


@pytest.fixture(params=["in_folder", "in_folder_without_tmpfile", "on_s3"])
def store(request: pytest.FixtureRequest) -> Store:
    request.getfixturevalue(request.param)
    store = store_for("acme", BUCKET)
    if isinstance(store, S3Store):
        store.client.create_bucket(Bucket=BUCKET)
        for stored in store.client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            store.client.delete_object(Bucket=BUCKET, Key=stored["Key"])
    store.check()
    return store


@pytest.fixture
def s3(on_s3: None) -> S3Store:
    store = store_for("acme", BUCKET)
    assert isinstance(store, S3Store)
    store.client.create_bucket(Bucket=BUCKET)
    return store


def found(store: Store, key: str) -> StoredObject:
    """Return the object's metadata, except its version."""
    stored = store.find(key)
    assert stored is not None
    return stored._replace(version="")


def read_object(store: Store, key: str) -> bytes:
    if isinstance(store, S3Store):
        return store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with store.open(key) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 5, 3_000_000, LARGE_BYTES])
def test_an_object_has_the_content_and_metadata_that_were_put(store: Store, size: int) -> None:
    data, owner_id = os.urandom(size), uuid4()
    sha256 = hashlib.sha256(data).hexdigest()
    for _ in range(2):
        store.put("a/é b.bin", BytesContent(data), owner_id=owner_id)
        assert read_object(store, "a/é b.bin") == data
        assert found(store, "a/é b.bin") == StoredObject(size, MTIME, sha256, owner_id)
        assert store.sha256_of("a/é b.bin") == sha256


def test_a_missing_object_is_not_found(store: Store) -> None:
    store.put("a", BytesContent(b"x"))
    for key in ("b", "a/b", "c/d/e"):
        assert (store.find(key), store.sha256_of(key)) == (None, "")


def test_a_prefix_is_empty_until_an_object_is_put_below_it(store: Store) -> None:
    prefixes = ("", "p", "p/q", "p/qr", "p/q/a")
    assert all(map(store.is_empty, prefixes))
    store.put("p/q/a", BytesContent(b"x"))
    assert [prefix for prefix in prefixes if store.is_empty(prefix)] == ["p/qr", "p/q/a"]


@pytest.mark.parametrize(
    "error", [SourceChanged("It changed."), TransferCancelled(), ZeroDivisionError()]
)
@pytest.mark.parametrize("size", [10, LARGE_BYTES])
def test_a_failed_put_leaves_the_previous_object(store: Store, error: Exception, size: int) -> None:
    store.put("old", BytesContent(b"old"))
    for key in ("old", "new"):
        with pytest.raises(type(error)):
            store.put(key, BytesContent(os.urandom(size), error))
    assert read_object(store, "old") == b"old"
    assert store.find("new") is None
    if isinstance(store, S3Store):
        assert "Uploads" not in store.client.list_multipart_uploads(Bucket=BUCKET)


def test_two_companies_with_the_same_bucket_name_have_separate_folders(in_folder: Path) -> None:
    store_for("acme", BUCKET).put("a", BytesContent(b"acme"))
    store_for("rival", BUCKET).put("a", BytesContent(b"rival"))
    assert (in_folder / "acme" / BUCKET / "a").read_bytes() == b"acme"
    assert (in_folder / "rival" / BUCKET / "a").read_bytes() == b"rival"


def test_on_s3_a_company_may_only_use_the_configured_buckets(on_s3: None) -> None:
    assert bucket_problem("acme", BUCKET) == ""
    for company, bucket in [("acme", "rivals"), ("rival", BUCKET), ("other", BUCKET)]:
        assert "not open to your company" in bucket_problem(company, bucket)
        with pytest.raises(StoreError, match="not open"):
            store_for(company, bucket)


@pytest.mark.parametrize(
    "bucket", ["", "ab", "A-b", "a_b", "../acme", "a..b", "-ab", "ab.", "a/b", "a" * 64]
)
def test_a_bucket_name_must_follow_the_rules_of_s3(bucket: str) -> None:
    assert "3 to 63 characters" in bucket_problem("acme", bucket)


class TestFolderStore:
    def test_an_incomplete_object_has_no_file_below_the_bucket(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)

        class WatchedContent(BytesContent):
            def check(self) -> None:
                files_at_check.append([p for p in (in_folder / "acme").rglob("*") if p.is_file()])

        files_at_check: list[list[Path]] = []
        store.put("a", WatchedContent(b"x" * 3_000_000))
        assert files_at_check == [[]]

    def test_a_key_below_another_objects_key_is_rejected_and_the_reverse(
        self, in_folder: Path
    ) -> None:
        store = store_for("acme", BUCKET)
        store.put("a/b", BytesContent(b"x"))
        with pytest.raises(StoreError, match="key of another object"):
            store.put("a/b/c", BytesContent(b"x"))
        with pytest.raises(StoreError, match="folder with other objects"):
            store.put("a", BytesContent(b"x"))
        assert read_object(store, "a/b") == b"x"

    def test_a_link_in_the_store_is_not_followed(self, in_folder: Path) -> None:
        store, outside = store_for("acme", BUCKET), in_folder / "outside"
        outside.mkdir()
        (in_folder / "acme" / BUCKET / "link").symlink_to(outside)
        with pytest.raises(StoreError):
            store.put("link/a", BytesContent(b"x"))
        (in_folder / "acme" / BUCKET / "name").symlink_to(outside / "a")
        store.put("name", BytesContent(b"x"))
        assert list(outside.iterdir()) == []

    def test_only_the_leftovers_of_a_killed_process_are_removed(
        self, in_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner_id, other_id, store = uuid4(), uuid4(), store_for("acme", BUCKET)
        staging = in_folder / ".incoming" / "acme" / BUCKET
        names = [
            f"{owner_id}.0123456789ab.7",
            f"{other_id}.0123456789ab.7",
            f"{owner_id}.{store.instance_id}.1",
        ]
        for name in names:
            (staging / name).write_text("half")
        store.discard_leftovers(owner_id)
        assert sorted(p.name for p in staging.iterdir()) == sorted(names[1:])
        monkeypatch.setattr(object_folder, "MAX_LEFTOVER_AGE_S", 0)
        store.discard_leftovers(owner_id)
        assert [p.name for p in staging.iterdir()] == names[2:]

    def test_an_object_changed_by_another_program_has_the_checksum_of_its_content(
        self, in_folder: Path
    ) -> None:
        store = store_for("acme", BUCKET)
        store.put("a", BytesContent(b"right"))
        path = in_folder / "acme" / BUCKET / "a"
        path.write_bytes(b"wrong")
        os.utime(path, ns=(MTIME, MTIME))
        assert store.sha256_of("a") == hashlib.sha256(b"wrong").hexdigest()

    def test_without_extended_attributes_checksums_are_computed(
        self, in_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "setxattr")
        store = store_for("acme", BUCKET)
        store.put("a", BytesContent(b"x"), owner_id=uuid4())
        assert found(store, "a") == StoredObject(1, MTIME, "", None)
        assert store.sha256_of("a") == hashlib.sha256(b"x").hexdigest()

    def test_received_content_is_limited(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a", ReceivedContent(io.BytesIO(b"12345"), 5))
        with pytest.raises(ContentTooLarge):
            store.put("a", ReceivedContent(io.BytesIO(b"123456"), 5))
        assert read_object(store, "a") == b"12345"

    def test_a_durable_store_keeps_the_content(self, settings: Any, in_folder: Path) -> None:
        settings.STORAGES["uploads"]["OPTIONS"]["durable"] = True
        store = store_for("acme", BUCKET)
        store.put("a/b", BytesContent(b"x"))
        assert read_object(store, "a/b") == b"x"

    def test_a_removed_folder_is_created_again(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a/b", BytesContent(b"x"))
        (in_folder / "acme" / BUCKET / "a" / "b").unlink()
        (in_folder / "acme" / BUCKET / "a").rmdir()
        with pytest.raises(StoreBusy):
            store.put("a/b", BytesContent(b"x"))
        store.put("a/b", BytesContent(b"x"))
        assert read_object(store, "a/b") == b"x"


class TestS3Store:
    def test_a_missing_bucket_raises_an_error_that_says_so(self, on_s3: None) -> None:
        store = store_for("acme", "no-such-bucket")
        for call in (store.check, lambda: store.put("a", BytesContent(b"x"))):
            with pytest.raises(StoreError, match="bucket does not exist"):
                call()

    def test_a_server_that_does_not_answer_raises_store_busy(
        self, on_s3: None, settings: Any
    ) -> None:
        settings.STORAGES["uploads"]["OPTIONS"]["endpoint_url"] = "http://127.0.0.1:9"
        with pytest.raises(StoreBusy, match="does not answer"):
            store_for("acme", BUCKET).check()

    def test_the_incomplete_uploads_of_a_key_are_aborted_before_the_next(self, s3: S3Store) -> None:
        for key in ("big", "bigger"):
            s3.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        s3.put("big", BytesContent(os.urandom(LARGE_BYTES)))
        left = s3.client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
        assert [upload["Key"] for upload in left] == ["bigger"]
        for upload in left:
            s3.client.abort_multipart_upload(
                Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    def test_sending_stops_when_the_transfer_is_cancelled(self, s3: S3Store) -> None:
        class CancelledContent(BytesContent):
            def check(self) -> None:
                raise TransferCancelled

        for size in (10, LARGE_BYTES):
            with pytest.raises(TransferCancelled):
                s3.put("cancelled", CancelledContent(os.urandom(size)))
        assert s3.find("cancelled") is None

    def test_a_presigned_url_accepts_a_put_without_credentials(self, s3: S3Store) -> None:
        url = s3.presigned_put("x/é", seconds=60)
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, b"direct", headers, method="PUT")
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
        assert read_object(s3, "x/é") == b"direct"
        assert found(s3, "x/é") == StoredObject(6, None, "", None)
        assert s3.sha256_of("x/é") == hashlib.sha256(b"direct").hexdigest()
