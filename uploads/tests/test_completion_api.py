"""Sessions whose files clients send to presigned URLs of Bureau, and their end."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from common.tests.support.events import RecordedEvents
from uploads.models import Cycle, Session
from uploads.tests.factories import SessionFactory

pytestmark = pytest.mark.django_db
BODY = b"depth,temp\n1,4.2\n"
ENDED = ("partial", "failed", "cancelled")


@pytest.fixture(autouse=True)
def bucket(settings: Any, tmp_path: Path) -> Path:
    """The folder of the bucket of `project`."""
    uploads = settings.STORAGES["uploads"]
    options = {**uploads["OPTIONS"], "root": tmp_path}
    settings.STORAGES = {**settings.STORAGES, "uploads": {**uploads, "OPTIONS": options}}
    return tmp_path / "acme" / "field-data"


def url_of(session: Session, action: str = "") -> str:
    return f"/api/v1/sessions/{session.pk}{action}"


def presign(client: APIClient, session: Session, key: str) -> Any:
    body = {"session_id": str(session.pk), "file_key": key}
    return client.post("/api/v1/uploads/presigned-url", body)


def send(client: APIClient, url: str, body: bytes = BODY) -> int:
    length = {"CONTENT_LENGTH": str(len(body))}
    return client.put(url, data=body, content_type="text/csv", **length).status_code


def upload(client: APIClient, session: Session, *names: str) -> None:
    for name in names:
        assert send(client, presign(client, session, name).json()["url"]) == 200


def complete(client: APIClient, session: Session, **headers: Any) -> Any:
    return client.post(url_of(session, "/complete"), **headers)


def files(client: APIClient, session: Session) -> dict[str, tuple[str, int, str]]:
    items = client.get(url_of(session, "/files")).json()["items"]
    return {item["key"]: (item["status"], item["size"], item["sha256"]) for item in items}


def counts(session: dict[str, Any]) -> tuple[str, int, int, int]:
    names = ("status", "total_files", "files_uploaded", "files_failed")
    return tuple(session[name] for name in names)  # type: ignore[return-value]


UPLOADED = ("uploaded", len(BODY), sha256(BODY).hexdigest())


@pytest.mark.parametrize("who", ["owner", "colleague", "admin", "worker_account", "superuser"])
def test_each_role_completes_a_session_with_what_was_sent(
    as_user: Any, cycle: Cycle, session: Session, who: str, request: pytest.FixtureRequest
) -> None:
    client = as_user(request.getfixturevalue(who))
    upload(client, session, "a", "b/ö.csv")
    response = complete(client, session)
    assert response.status_code == 200
    answer = response.json()
    assert counts(answer) == ("completed", 2, 2, 0)
    assert answer["bytes_uploaded"] == answer["total_size_bytes"] == 2 * len(BODY)
    assert (answer["progress"], answer["error"]) == (1, "")
    assert answer["started_at"]
    assert answer["finished_at"]
    assert files(client, session) == {"a": UPLOADED, "b/ö.csv": UPLOADED}
    status = client.get(f"/api/v1/uploads/status/{session.pk}").json()
    assert (status["status"], status["result"]["files_uploaded"]) == ("completed", 2)
    statistics = client.get("/api/v1/sessions/stats?project_id=" + str(session.project_id)).json()
    assert statistics["completed_sessions"] == 1
    assert statistics["total_bytes_uploaded"] == 2 * len(BODY)
    assert client.get(f"/api/v1/cycles/{cycle.pk}").json()["status"] == "completed"


def test_the_end_is_recorded_with_its_status(
    client: APIClient, session: Session, recorded_events: RecordedEvents
) -> None:
    upload(client, session, "a")
    presign(client, session, "b")
    events = recorded_events(lambda: complete(client, session))
    assert [action for action, _, _ in events] == ["session.partial"]


def test_a_session_of_another_company_is_not_found(
    outsider_client: APIClient, client: APIClient, session: Session
) -> None:
    upload(client, session, "a")
    assert complete(outsider_client, session).status_code == 404
    assert client.get(url_of(session)).json()["status"] == "pending"


@pytest.mark.parametrize(
    ("sent", "status"), [(["a"], "partial"), ([], "failed"), (["a", "b"], "completed")]
)
def test_files_that_have_not_arrived_are_reported(
    client: APIClient, session: Session, sent: list[str], status: str
) -> None:
    urls = {name: presign(client, session, name).json()["url"] for name in ("a", "b")}
    for name in sent:
        send(client, urls[name])
    answer = complete(client, session).json()
    assert counts(answer) == (status, 2, len(sent), 2 - len(sent))
    missing = dict.fromkeys({"a", "b"} - set(sent), ("failed", 0, ""))
    assert files(client, session) == dict.fromkeys(sent, UPLOADED) | missing
    items = client.get(url_of(session, "/files?status=failed")).json()["items"]
    assert {item["error"] for item in items} <= {"No file with this key has arrived in the store."}
    for name in ("a", "b"):
        assert send(client, urls[name]) == 409
        assert presign(client, session, "c").status_code == 409


def test_missing_files_can_be_sent_after_a_retry(client: APIClient, session: Session) -> None:
    upload(client, session, "a")
    presign(client, session, "b")
    assert complete(client, session).json()["status"] == "partial"
    response = client.post(url_of(session, "/retry"))
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    assert response.json()["finished_at"] is None
    assert presign(client, session, "a").status_code == 409
    upload(client, session, "b")
    assert counts(complete(client, session).json()) == ("completed", 2, 2, 0)


def test_an_object_of_an_earlier_session_is_not_taken_for_the_file(
    client: APIClient, session: Session
) -> None:
    upload(client, session, "a")
    complete(client, session)
    again = SessionFactory(cycle=session.cycle, user=session.user)
    presign(client, again, "a")
    assert counts(complete(client, again).json()) == ("failed", 1, 0, 1)


def test_an_object_that_was_removed_or_replaced_since_is_reported(
    client: APIClient, session: Session, bucket: Path
) -> None:
    upload(client, session, "a", "b", "c")
    (bucket / "a").unlink()
    (bucket / "b").write_text("other")
    assert counts(complete(client, session).json()) == ("partial", 3, 1, 2)
    assert {key for key, row in files(client, session).items() if row[0] == "failed"} == {"a", "b"}


class TestStates:
    def test_completing_a_completed_session_changes_nothing(
        self, client: APIClient, session: Session
    ) -> None:
        upload(client, session, "a")
        first = complete(client, session).json()
        second = complete(client, session)
        assert (second.status_code, second.json()) == (200, first)

    def test_a_repeated_idempotency_key_gets_the_first_response(
        self, client: APIClient, session: Session
    ) -> None:
        presign(client, session, "a")
        first = complete(client, session, HTTP_IDEMPOTENCY_KEY="k")
        second = complete(client, session, HTTP_IDEMPOTENCY_KEY="k")
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert complete(client, session).status_code == 409

    @pytest.mark.parametrize("status", ENDED)
    def test_a_session_that_has_ended_otherwise_is_a_conflict(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        response = complete(client, session)
        assert (response.status_code, status in response.json()["detail"]) == (409, True)

    def test_a_session_without_files_is_a_conflict(
        self, client: APIClient, session: Session
    ) -> None:
        response = complete(client, session)
        assert (response.status_code, "No file" in response.json()["detail"]) == (409, True)
        assert client.put(url_of(session), {"status": "completed"}).status_code == 409
        assert client.get(url_of(session)).json()["status"] == "pending"

    def test_a_session_of_a_bureau_worker_is_a_conflict(
        self, client: APIClient, session: Session
    ) -> None:
        session.start()
        assert "worker" in complete(client, session).json()["detail"]
        assert presign(client, session, "a").status_code == 409
        Session.objects.claim(session.pk)
        assert complete(client, session).status_code == 409
        assert client.put(url_of(session), {"status": "completed"}).status_code == 409

    def test_a_session_that_a_client_runs_can_be_completed(
        self, worker_client: APIClient, session: Session
    ) -> None:
        worker_client.put(url_of(session), {"status": "in_progress", "total_files": 9})
        upload(worker_client, session, "a")
        assert counts(complete(worker_client, session).json()) == ("completed", 1, 1, 0)

    def test_a_session_with_presigned_files_cannot_be_started(
        self, client: APIClient, session: Session
    ) -> None:
        presign(client, session, "a")
        response = client.post("/api/v1/uploads/start", {"session_id": str(session.pk)})
        assert response.status_code == 409
        assert f"/sessions/{session.pk}/complete" in response.json()["detail"]
        assert client.get(url_of(session)).json()["status"] == "pending"


class TestPut:
    """`status: completed`, which does the same."""

    @pytest.mark.parametrize("who", ["owner", "admin", "worker_account"])
    def test_each_role_completes_a_session(
        self, as_user: Any, session: Session, who: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        upload(client, session, "a")
        presign(client, session, "b")
        response = client.put(url_of(session), {"status": "completed"})
        assert response.status_code == 200
        assert counts(response.json()) == ("partial", 2, 1, 1)

    def test_counters_of_a_report_are_replaced_by_those_of_the_store(
        self, worker_client: APIClient, session: Session
    ) -> None:
        upload(worker_client, session, "a")
        sent = {"status": "completed", "files_uploaded": 5, "total_files": 5}
        answer = worker_client.patch(url_of(session), sent).json()
        assert counts(answer) == ("completed", 1, 1, 0)

    def test_a_client_without_presigned_files_reports_its_own_counters(
        self, worker_client: APIClient, session: Session
    ) -> None:
        sent = {"status": "completed", "files_uploaded": 5, "total_files": 5}
        answer = worker_client.patch(url_of(session), sent).json()
        assert counts(answer) == ("completed", 5, 5, 0)

    def test_a_row_that_is_sent_back_whole_is_not_completed(
        self, client: APIClient, session: Session
    ) -> None:
        upload(client, session, "a")
        row = client.get(url_of(session)).json()
        assert client.put(url_of(session), row).json()["status"] == "pending"


class TestWithoutFolder:
    def test_a_session_for_direct_uploads_needs_no_folder(
        self, client: APIClient, cycle: Cycle
    ) -> None:
        body = {"project_id": str(cycle.project_id), "cycle_id": str(cycle.pk)}
        answer = client.post("/api/v1/sessions", body).json()
        assert answer["local_directory"] == ""
        session = Session.objects.get(pk=answer["id"])
        upload(client, session, "a")
        assert counts(complete(client, session).json()) == ("completed", 1, 1, 0)
        assert list(files(client, session)) == ["2026/spring/a"]

    def test_it_is_never_run_by_a_worker(
        self, client: APIClient, cycle: Cycle, owner: User
    ) -> None:
        session = SessionFactory(cycle=cycle, user=owner, local_directory="")
        start = {"session_id": str(session.pk)}
        assert client.post("/api/v1/uploads/start", start).status_code == 409
        client.post(url_of(session, "/cancel"))
        assert client.post(url_of(session, "/retry")).json()["status"] == "pending"


@pytest.mark.django_db(transaction=True)
def test_a_file_sent_while_the_session_is_completed_is_counted_or_refused(
    as_user: Any, owner: User, session: Session
) -> None:
    clients = [as_user(owner) for _ in range(7)]
    urls = [presign(clients[0], session, f"file-{n}").json()["url"] for n in range(6)]

    def act(number: int) -> int:
        try:
            if number == 6:
                return complete(clients[6], session).status_code
            return send(clients[number], urls[number])
        finally:
            connection.close()

    with ThreadPoolExecutor(7) as threads:
        *sent, completed = threads.map(act, range(7))
    assert (completed, set(sent) <= {200, 409}) == (200, True)
    session.refresh_from_db()
    assert session.files_uploaded == sent.count(200)
    assert session.counters == session.files.counters()
    assert session.total_files == 6
