"""S3 servers and policies that refuse some requests: files are uploaded nevertheless."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from uploads.tests.strict_s3 import StrictS3, serve
from uploads.tests.test_stores import BUCKET, LARGE_BYTES, BytesContent, read_object
from uploads.transfer.errors import AccessDenied, StoreBusy, StoreError
from uploads.transfer.stores.s3 import S3Store

# All that a policy may leave out, `s3:PutObject` excepted.
OPTIONAL = (
    "s3:ListBucket",
    "s3:GetObject",
    "s3:ListBucketMultipartUploads",
    "s3:AbortMultipartUpload",
)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[StrictS3, S3Store]]:
    server = StrictS3()
    with serve(server) as address:
        store = S3Store(
            company_code="acme",
            bucket_name=BUCKET,
            endpoint_url=address,
            region_name="us-east-1",
            access_key="key",
            secret_key="secret",
        )
        store.client.create_bucket(Bucket=BUCKET)
        yield server, store
        server.denied = set()
        for stored in store.client.list_objects_v2(Bucket=BUCKET)["Contents"]:
            store.client.delete_object(Bucket=BUCKET, Key=stored["Key"])


@pytest.fixture
def server(running: tuple[StrictS3, S3Store]) -> StrictS3:
    server = running[0]
    server.denied, server.requests = set(), []
    return server


@pytest.fixture
def store(running: tuple[StrictS3, S3Store], server: StrictS3) -> S3Store:
    return running[1]


@pytest.mark.parametrize("size", [0, 10, LARGE_BYTES])
def test_a_server_without_checksum_headers_gets_each_file_at_the_first_try(
    store: S3Store, server: StrictS3, size: int
) -> None:
    data = os.urandom(size)
    store.check()
    store.put("a b/é", BytesContent(data))
    assert read_object(store, "a b/é") == data
    assert store.sha256_of("a b/é") == hashlib.sha256(data).hexdigest()
    puts = [request for request in server.requests if request.startswith("PUT /field-data/a")]
    assert len(puts) == (3 if size == LARGE_BYTES else 1)


def test_a_presigned_url_asks_for_no_checksum(store: S3Store) -> None:
    url = store.presigned_put("direct", seconds=60)
    assert "checksum" not in url.lower()
    with urlopen(Request(url, b"direct", {"Content-Type": "text/csv"}, method="PUT")) as answer:
        assert answer.status == 200
    assert read_object(store, "direct") == b"direct"


@pytest.mark.parametrize("denied", [OPTIONAL[:1], OPTIONAL], ids=str)
@pytest.mark.parametrize("size", [10, LARGE_BYTES])
def test_a_policy_without_the_optional_permissions_suffices(
    store: S3Store, server: StrictS3, denied: tuple[str, ...], size: int
) -> None:
    server.denied = set(denied)
    data, key = os.urandom(size), f"policy/{len(denied)}/{size}"
    store.check()
    assert not store.is_empty("nothing here")
    store.put(key, BytesContent(data))
    server.denied = set()
    assert read_object(store, key) == data


def test_without_permission_to_list_a_missing_object_may_be_there(
    store: S3Store, server: StrictS3
) -> None:
    server.denied = {"s3:ListBucket"}
    with pytest.raises(AccessDenied):
        store.find("nowhere")
    store.put("here", BytesContent(b"x"))
    assert store.find("here") is not None


def test_without_permission_to_put_the_reason_is_named(store: S3Store, server: StrictS3) -> None:
    server.denied = {"s3:PutObject"}
    for size in (10, LARGE_BYTES):
        with pytest.raises(StoreError, match="denies access"):
            store.put("a", BytesContent(os.urandom(size)))


def test_a_body_that_changes_on_its_way_is_refused(store: S3Store) -> None:
    """The server computes the digests of what it received."""
    content = BytesContent(b"right")
    store.client.meta.events.register("before-send.s3", lambda request, **_: _spoil(request))
    with pytest.raises(StoreBusy, match="BadDigest"):
        store.put("spoilt", content)
    store.client.meta.events.unregister("before-send.s3")


def _spoil(request: Any) -> None:
    if request.method == "PUT":
        request.body = b"wrong"
