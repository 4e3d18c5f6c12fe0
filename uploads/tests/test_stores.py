"""Both kinds of store: objects are whole or not there, and each company's are its own."""

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
from uploads.transfer.errors import SourceChanged, TransferCancelled, StoreBusy, StoreError, ContentTooLarge
from uploads.transfer.stores import Store, bucket_problem, store_for
from uploads.transfer.stores.s3 import PART_BYTES, S3Store

BUCKET = "field-data"
MTIME = 1_700_000_000_123_456_789
LARGE = 2 * PART_BYTES + 5


class Data:
    """Bytes as the content of an object; `spoil` raises instead of coming to the end."""

    mtime_ns = MTIME
    sha256 = ""

    def __init__(self, data: bytes, spoil: Exception | None = None) -> None:
        self.data = data
        self.size = len(data)
        self.spoil = spoil

    def chunks(self, size: int) -> Iterator[Bytes]:
        for start in range(0, self.size, size):
            yield memoryview(self.data)[start : start + size]
        if self.spoil:
            raise self.spoil
        self.sha256 = hashlib.sha256(self.data).hexdigest()

    def check(self) -> None:
        """Always wanted."""


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
def in_plain_folder(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file system refuses files without a name, as it does such that nobody can write to."""
    monkeypatch.setattr(object_folder, "_TMPFILE_FLAGS", getattr(os, "O_TMPFILE", 0) | os.O_RDONLY)
    return in_folder


@pytest.fixture(params=["in_folder", "in_plain_folder", "on_s3"])
def store(request: pytest.FixtureRequest) -> Store:
    request.getfixturevalue(request.param)
    store = store_for("acme", BUCKET)
    if isinstance(store, S3Store):
        store._client.create_bucket(Bucket=BUCKET)
        for known in store._client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            store._client.delete_object(Bucket=BUCKET, Key=known["Key"])
    store.check()
    return store


@pytest.fixture
def s3(on_s3: None) -> S3Store:
    store = store_for("acme", BUCKET)
    assert isinstance(store, S3Store)
    store._client.create_bucket(Bucket=BUCKET)
    return store


def content(store: Store, key: str) -> bytes:
    if isinstance(store, S3Store):
        return store._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with store.open(key) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 5, 3_000_000, LARGE])
def test_an_object_is_what_was_put_and_says_so(store: Store, size: int) -> None:
    data, by = os.urandom(size), uuid4()
    known = hashlib.sha256(data).hexdigest()
    for _ in range(2):
        store.put("a/é b.bin", Data(data), owner_id=owner_id)
        assert content(store, "a/é b.bin") == data
        assert store.find("a/é b.bin") == StoredObject(size, MTIME, known, by)
        assert store.sha256_of("a/é b.bin") == known


def test_what_is_not_there_is_not_found(store: Store) -> None:
    store.put("a", Data(b"x"))
    for key in ("b", "a/b", "c/d/e"):
        assert (store.find(key), store.sha256_of(key)) == (None, "")


def test_a_prefix_is_empty_until_there_is_an_object_below(store: Store) -> None:
    prefixes = ("", "p", "p/q", "p/qr", "p/q/a")
    assert all(map(store.is_empty, prefixes))
    store.put("p/q/a", Data(b"x"))
    assert [prefix for prefix in prefixes if store.is_empty(prefix)] == ["p/qr", "p/q/a"]


@pytest.mark.parametrize("spoil", [SourceChanged("It changed."), TransferCancelled(), ZeroDivisionError()])
@pytest.mark.parametrize("size", [10, LARGE])
def test_what_breaks_off_leaves_what_was_there(store: Store, spoil: Exception, size: int) -> None:
    store.put("old", Data(b"old"))
    for key in ("old", "new"):
        with pytest.raises(type(spoil)):
            store.put(key, Data(os.urandom(size), spoil))
    assert content(store, "old") == b"old"
    assert store.find("new") is None
    if isinstance(store, S3Store):
        assert "Uploads" not in store._client.list_multipart_uploads(Bucket=BUCKET)


def test_the_same_bucket_of_two_companies_in_a_folder_is_two(in_folder: Path) -> None:
    store_for("acme", BUCKET).put("a", Data(b"acme"))
    store_for("rival", BUCKET).put("a", Data(b"rival"))
    assert (in_folder / "acme" / BUCKET / "a").read_bytes() == b"acme"
    assert (in_folder / "rival" / BUCKET / "a").read_bytes() == b"rival"


def test_on_s3_a_company_has_the_buckets_that_the_operator_names(on_s3: None) -> None:
    assert bucket_problem("acme", BUCKET) == ""
    for company, bucket in [("acme", "rivals"), ("rival", BUCKET), ("other", BUCKET)]:
        assert "not open to your company" in bucket_problem(company, bucket)
        with pytest.raises(StoreError, match="not open"):
            store_for(company, bucket)


@pytest.mark.parametrize(
    "bucket", ["", "ab", "A-b", "a_b", "../acme", "a..b", "-ab", "ab.", "a/b", "a" * 64]
)
def test_a_buckets_name_is_one_of_s3(bucket: str) -> None:
    assert "3 to 63 characters" in bucket_problem("acme", bucket)


class TestFolder:
    def test_until_it_is_whole_it_is_nowhere_below_the_bucket(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)

        class Watched(Data):
            def check(self) -> None:
                seen.append([p for p in (in_folder / "acme").rglob("*") if p.is_file()])

        seen: list[list[Path]] = []
        store.put("a", Watched(b"x" * 3_000_000))
        assert seen == [[]]

    def test_keys_that_get_in_each_others_way_are_named(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a/b", Data(b"x"))
        with pytest.raises(StoreError, match="key of another object"):
            store.put("a/b/c", Data(b"x"))
        with pytest.raises(StoreError, match="folder in the store"):
            store.put("a", Data(b"x"))
        assert content(store, "a/b") == b"x"

    def test_a_link_in_the_store_leads_nowhere(self, in_folder: Path) -> None:
        store, outside = store_for("acme", BUCKET), in_folder / "outside"
        outside.mkdir()
        (in_folder / "acme" / BUCKET / "link").symlink_to(outside)
        with pytest.raises(StoreError):
            store.put("link/a", Data(b"x"))
        (in_folder / "acme" / BUCKET / "name").symlink_to(outside / "a")
        store.put("name", Data(b"x"))
        assert list(outside.iterdir()) == []

    def test_what_a_killed_process_left_is_removed_and_nothing_else(
        self, in_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        by, other, store = uuid4(), uuid4(), store_for("acme", BUCKET)
        aside = in_folder / ".incoming" / "acme" / BUCKET
        names = [f"{by}.0123456789ab.7", f"{other}.0123456789ab.7", f"{by}.{store._instance_id}.1"]
        for name in names:
            (aside / name).write_text("half")
        store.discard_leftovers(by)
        assert sorted(p.name for p in aside.iterdir()) == sorted(names[1:])
        monkeypatch.setattr(object_folder, "MAX_LEFTOVER_AGE_S", 0)
        store.discard_leftovers(by)
        assert [p.name for p in aside.iterdir()] == names[2:]

    def test_an_object_changed_by_others_is_told_by_its_content(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a", Data(b"right"))
        path = in_folder / "acme" / BUCKET / "a"
        path.write_bytes(b"wrong")
        os.utime(path, ns=(MTIME, MTIME))
        assert store.sha256_of("a") == hashlib.sha256(b"wrong").hexdigest()

    def test_without_attributes_sums_are_computed(
        self, in_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "setxattr")
        store = store_for("acme", BUCKET)
        store.put("a", Data(b"x"), owner_id=uuid4())
        assert store.find("a") == StoredObject(1, MTIME, "", None)
        assert store.sha256_of("a") == hashlib.sha256(b"x").hexdigest()

    def test_what_is_received_is_limited(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a", ReceivedContent(io.BytesIO(b"12345"), 5))
        with pytest.raises(ContentTooLarge):
            store.put("a", ReceivedContent(io.BytesIO(b"123456"), 5))
        assert content(store, "a") == b"12345"

    def test_durable_objects_are_the_same(self, settings: Any, in_folder: Path) -> None:
        settings.STORAGES["uploads"]["OPTIONS"]["durable"] = True
        store = store_for("acme", BUCKET)
        store.put("a/b", Data(b"x"))
        assert content(store, "a/b") == b"x"

    def test_a_folder_that_vanishes_is_made_again(self, in_folder: Path) -> None:
        store = store_for("acme", BUCKET)
        store.put("a/b", Data(b"x"))
        (in_folder / "acme" / BUCKET / "a" / "b").unlink()
        (in_folder / "acme" / BUCKET / "a").rmdir()
        with pytest.raises(StoreBusy):
            store.put("a/b", Data(b"x"))
        store.put("a/b", Data(b"x"))
        assert content(store, "a/b") == b"x"


class TestS3:
    def test_a_bucket_that_is_not_there_is_named(self, on_s3: None) -> None:
        store = store_for("acme", "no-such-bucket")
        for call in (store.check, lambda: store.put("a", Data(b"x"))):
            with pytest.raises(StoreError, match="bucket does not exist"):
                call()

    def test_a_server_that_does_not_answer_is_named(self, on_s3: None, settings: Any) -> None:
        settings.STORAGES["uploads"]["OPTIONS"]["endpoint_url"] = "http://127.0.0.1:9"
        with pytest.raises(StoreBusy, match="does not answer"):
            store_for("acme", BUCKET).check()

    def test_what_a_killed_process_began_to_send_is_aborted(self, s3: S3Store) -> None:
        for key in ("big", "bigger"):
            s3._client.create_multipart_upload(Bucket=BUCKET, Key=key)
        s3.put("big", Data(os.urandom(LARGE)))
        left = s3._client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
        assert [upload["Key"] for upload in left] == ["bigger"]
        s3._abort_uploads("bigger")

    def test_a_body_is_given_away_no_longer_than_it_is_wanted(self, s3: S3Store) -> None:
        class Unwanted(Data):
            def check(self) -> None:
                raise TransferCancelled

        for size in (10, LARGE):
            with pytest.raises(TransferCancelled):
                s3.put("unwanted", Unwanted(os.urandom(size)))
        assert s3.find("unwanted") is None

    def test_anybody_may_put_to_a_presigned_url(self, s3: S3Store) -> None:
        url = s3.presigned_put("x/é", seconds=60)
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, b"direct", headers, method="PUT")
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
        assert content(s3, "x/é") == b"direct"
        assert s3.find("x/é") == StoredObject(6, None, "", None)
        assert s3.sha256_of("x/é") == hashlib.sha256(b"direct").hexdigest()
