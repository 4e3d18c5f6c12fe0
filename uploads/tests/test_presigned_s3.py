"""Presigned URLs with storage on S3, against a real server of that protocol."""

from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from uploads.models import PresignedUpload, Project, Session
from uploads.transfer.stores import Store, store_for

pytestmark = pytest.mark.django_db
URL = "/api/v1/uploads/presigned-url"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(autouse=True)
def bucket(settings: Any, server: str) -> Store:
    """The bucket of `project`, the only one that is open to its company."""
    settings.UPLOAD_STORAGE = "s3"
    settings.S3_BUCKETS = {"acme": ["field-data"], "rival": ["rival-data"]}
    options = {"endpoint_url": server, "region_name": "us-east-1"}
    keys = {"access_key": "key", "secret_key": "secret"}
    backend = "uploads.transfer.stores.s3.S3Store"
    uploads = {"BACKEND": backend, "OPTIONS": options | keys}
    settings.STORAGES = {**settings.STORAGES, "uploads": uploads}
    bucket = store_for("acme", "field-data")
    bucket.connection.create_bucket(Bucket="field-data")
    return bucket


def presign(client: APIClient, session: Session) -> Any:
    return client.post(URL, {"session_id": str(session.pk), "file_key": "day 1/ö.csv"})


def test_the_url_is_one_of_s3(
    client: APIClient, session: Session, server: str, bucket: Store
) -> None:
    body = presign(client, session).json()
    assert body["url"].startswith(f"{server}/field-data/")
    assert body["expires_in"] == 3600
    assert not PresignedUpload.objects.exists()
    headers = body["headers"] | {"Content-Type": "text/csv"}
    sent = Request(body["url"], data=b"depth\n", method=body["method"], headers=headers)
    with urlopen(sent) as answer:
        assert answer.status == 200
    stored = bucket.find("day 1/ö.csv")
    assert stored is not None
    assert stored.size == 6


@pytest.mark.parametrize("name", ["rival-data", "anything"])
def test_a_bucket_of_another_company_is_rejected(client: APIClient, errors: Any, name: str) -> None:
    response = client.post("/api/v1/projects", {"name": "x", "bucket_name": name})
    assert errors(response) == [("bucket_name", "invalid")]


def test_a_bucket_that_is_no_longer_open_gets_no_url(client: APIClient, session: Session) -> None:
    Project.objects.update(bucket_name="rival-data")
    assert presign(client, session).status_code == 409
