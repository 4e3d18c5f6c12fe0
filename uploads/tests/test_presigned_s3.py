"""Presigned URLs with storage on S3, against a real server of that protocol."""

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from uploads import completion
from uploads.models import Project, Session
from uploads.tasks import fill_checksums
from uploads.tests.factories import SessionFactory
from uploads.transfer.stores import Store, s3, store_for

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
    headers = body["headers"] | {"Content-Type": "text/csv"}
    sent = Request(body["url"], data=b"depth\n", method=body["method"], headers=headers)
    with urlopen(sent) as answer:
        assert answer.status == 200
    stored = bucket.find("day 1/ö.csv")
    assert stored is not None
    assert stored.size == 6


def send(client: APIClient, session: Session, key: str, body: bytes) -> None:
    sent = {"session_id": str(session.pk), "file_key": key}
    url = client.post(URL, sent).json()["url"]
    headers = {"Content-Type": "text/csv"}
    with urlopen(Request(url, data=body, method="PUT", headers=headers)) as answer:
        assert answer.status == 200


def complete(client: APIClient, session: Session) -> tuple[str, int, int, int]:
    answer = client.post(f"/api/v1/sessions/{session.pk}/complete").json()
    names = ("status", "files_uploaded", "files_failed", "bytes_uploaded")
    return tuple(answer[name] for name in names)  # type: ignore[return-value]


def test_a_session_is_completed_with_what_s3_has(client: APIClient, session: Session) -> None:
    send(client, session, "a/ö.csv", b"depth")
    send(client, session, "empty", b"")
    client.post(URL, {"session_id": str(session.pk), "file_key": "late"})
    assert client.get(f"/api/v1/sessions/{session.pk}/files").json()["total"] == 0
    assert complete(client, session) == ("partial", 2, 1, 5)
    rows = session.files.values_list("key", "status", "size", "sha256")
    assert set(rows) == {
        ("a/ö.csv", "uploaded", 5, hashlib.sha256(b"depth").hexdigest()),
        ("empty", "uploaded", 0, hashlib.sha256(b"").hexdigest()),
        ("late", "failed", 0, ""),
    }
    # A URL of S3 works until it expires: a retry counts what has arrived meanwhile.
    client.post(f"/api/v1/sessions/{session.pk}/retry")
    send(client, session, "late", b"late")
    assert complete(client, session) == ("completed", 3, 0, 9)


def test_an_object_of_an_earlier_session_is_not_taken_for_the_file(
    client: APIClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "TIME_RESOLUTION_S", 0)  # as if it had been sent a while ago
    send(client, session, "old", b"one")
    complete(client, session)
    again = SessionFactory(cycle=session.cycle, user=session.user)
    client.post(URL, {"session_id": str(again.pk), "file_key": "old"})
    assert complete(client, again) == ("failed", 0, 1, 0)
    client.post(f"/api/v1/sessions/{again.pk}/retry")
    send(client, again, "old", b"two and more")
    assert complete(client, again) == ("completed", 1, 0, 12)


def test_the_same_file_sent_again_at_once_counts(client: APIClient, session: Session) -> None:
    """`Last-Modified` has whole seconds, so both objects look the same."""
    for _ in range(2):
        send(client, session, "same", b"same")
        assert complete(client, session) == ("completed", 1, 0, 4)
        session = SessionFactory(cycle=session.cycle, user=session.user)


def test_the_checksums_of_large_files_are_computed_later(
    client: APIClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "MAX_BYTES_READ_BY_REQUEST", 3)
    send(client, session, "large", b"large")
    assert complete(client, session)[0] == "completed"
    assert session.files.get().sha256 == ""
    assert fill_checksums() == 1
    assert session.files.get().sha256 == hashlib.sha256(b"large").hexdigest()
    assert fill_checksums() == 0


def test_a_store_that_does_not_answer_leaves_the_session_open(
    client: APIClient, session: Session, settings: Any
) -> None:
    send(client, session, "a", b"a")
    settings.STORAGES["uploads"]["OPTIONS"]["endpoint_url"] = "http://127.0.0.1:9"
    response = client.post(f"/api/v1/sessions/{session.pk}/complete")
    assert response.status_code == 503
    session.refresh_from_db()
    assert session.status == "pending"


@pytest.mark.parametrize("name", ["rival-data", "anything"])
def test_a_bucket_of_another_company_is_rejected(client: APIClient, errors: Any, name: str) -> None:
    response = client.post("/api/v1/projects", {"name": "x", "bucket_name": name})
    assert errors(response) == [("bucket_name", "invalid")]


def test_a_bucket_that_is_no_longer_open_gets_no_url(client: APIClient, session: Session) -> None:
    Project.objects.update(bucket_name="rival-data")
    assert presign(client, session).status_code == 409
