from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from common.ids import uuid7
from uploads.counters import COUNTER_FIELDS
from uploads.models import Project, Session
from uploads.tests.factories import SessionFileFactory

pytestmark = pytest.mark.django_db
START = "/api/v1/uploads/start"


def body_of(session: Session) -> dict[str, str]:
    return {"session_id": str(session.pk)}


def status_url(session: Session) -> str:
    return f"/api/v1/uploads/status/{session.pk}"


class TestStart:
    @pytest.mark.parametrize("who", ["owner", "colleague", "admin", "worker_account", "superuser"])
    def test_each_role_can_queue_a_session(
        self, as_user: Any, session: Session, who: str, request: pytest.FixtureRequest
    ) -> None:
        response = as_user(request.getfixturevalue(who)).post(START, body_of(session))
        assert response.status_code == 202
        body = response.json()
        assert (body["session_id"], body["status"]) == (str(session.pk), "queued")
        assert body["job_id"]
        assert Session.objects.due().exists()

    @pytest.mark.parametrize(
        "status", ["queued", "in_progress", "completed", "partial", "failed", "cancelled"]
    )
    def test_only_a_pending_session_can_be_started(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert client.post(START, body_of(session)).status_code == 409
        session.refresh_from_db()
        assert session.status == status

    def test_requests_with_the_same_idempotency_key_start_once(
        self, client: APIClient, session: Session
    ) -> None:
        answers = [client.post(START, body_of(session), HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json() == answers[1].json()

    def test_starting_resets_the_counters_to_those_of_the_file_rows(
        self, client: APIClient, worker_client: APIClient, session: Session
    ) -> None:
        SessionFileFactory(session=session, status="uploaded")
        worker_client.put(f"/api/v1/sessions/{session.pk}", {"files_uploaded": 7})
        client.post(START, body_of(session))
        session.refresh_from_db()
        assert (session.files_uploaded, session.bytes_uploaded, session.total_files) == (1, 10, 1)

    def test_a_session_of_an_inactive_project_cannot_be_started(
        self, client: APIClient, session: Session
    ) -> None:
        Project.objects.update(is_active=False)
        assert client.post(START, body_of(session)).status_code == 409

    def test_a_session_of_another_company_gets_404(
        self, outsider_client: APIClient, session: Session
    ) -> None:
        assert outsider_client.post(START, body_of(session)).status_code == 404
        assert outsider_client.post(START, {"session_id": str(uuid7())}).status_code == 404
        session.refresh_from_db()
        assert session.status == "pending"

    @pytest.mark.parametrize(
        "sent",
        [{}, {"session_id": "x"}, {"session_id": None}, {"session_id": []}, {"session_id": -1}],
        ids=str,
    )
    def test_an_invalid_session_id_is_rejected(
        self, client: APIClient, errors: Any, sent: dict
    ) -> None:
        assert [field for field, _ in errors(client.post(START, sent))] == ["session_id"]

    def test_an_unknown_field_is_rejected(
        self, client: APIClient, session: Session, errors: Any
    ) -> None:
        response = client.post(START, body_of(session) | {"force": True})
        assert errors(response) == [("force", "unknown_field")]

    @pytest.mark.django_db(transaction=True)
    def test_of_concurrent_starts_one_succeeds(
        self, as_user: Any, owner: User, session: Session
    ) -> None:
        clients = [as_user(owner) for _ in range(6)]

        def start(client: APIClient) -> int:
            try:
                return client.post(START, body_of(session)).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            codes = sorted(threads.map(start, clients))
        assert codes == [202] + 5 * [409]


@pytest.mark.parametrize("path", ["/api/v1/sessions", START, "/api/v1/uploads/presigned-url"])
@pytest.mark.parametrize("who", ["owner", "worker_account"])
def test_a_browser_gets_an_html_page(
    as_user: Any, session: Session, path: str, who: str, request: pytest.FixtureRequest
) -> None:
    client = as_user(request.getfixturevalue(who))
    for address in (path, status_url(session), f"/api/v1/sessions/{session.pk}"):
        page = client.get(address, headers={"accept": "text/html"})
        assert page.status_code in (200, 405)
        assert page["Content-Type"].startswith("text/html")
    sent = client.post(START, body_of(session), headers={"accept": "text/html"})
    assert sent.status_code == 202


class TestStatus:
    def test_the_status_is_shown_from_queued_to_the_end(
        self, client: APIClient, session: Session
    ) -> None:
        job = client.post(START, body_of(session)).json()["job_id"]
        url = f"/api/v1/uploads/status/{job}"
        body = client.get(url).json()
        assert body == body | {
            "job_id": job,
            "session_id": str(session.pk),
            "status": "queued",
            "progress": 0.0,
            "started_at": None,
            "finished_at": None,
            "result": None,
            "error": "",
        }
        run = Session.objects.claim(session.pk)
        run.renew(total_files=4, files_uploaded=1, files_skipped=1, total_size_bytes=100)
        body = client.get(url).json()
        assert (body["status"], body["progress"], body["result"]) == ("in_progress", 0.5, None)
        run.finish(status="partial", files_uploaded=2, files_failed=1, error="One failed.")
        body = client.get(url).json()
        assert (body["status"], body["error"], body["progress"]) == ("partial", "One failed.", 1.0)
        assert body["created_at"] <= body["started_at"] <= body["finished_at"]
        assert body["result"] == dict.fromkeys(COUNTER_FIELDS, 0) | {
            "total_files": 4,
            "files_uploaded": 2,
            "files_skipped": 1,
            "files_failed": 1,
            "total_size_bytes": 100,
        }

    def test_a_completed_session_without_files_has_full_progress(
        self, client: APIClient, session: Session
    ) -> None:
        Session.objects.update(status="completed")
        assert client.get(status_url(session)).json()["progress"] == 1.0

    def test_the_progress_of_one_large_file_counts_bytes(
        self, client: APIClient, session: Session
    ) -> None:
        sizes = {"total_size_bytes": 2 * 2**40, "bytes_uploaded": 2**40}
        Session.objects.update(status="in_progress", total_files=1, **sizes)
        assert client.get(status_url(session)).json()["progress"] == 0.5

    def test_hidden_and_missing_sessions_get_404_and_anonymous_users_401(
        self, outsider_client: APIClient, client: APIClient, api: APIClient, session: Session
    ) -> None:
        assert outsider_client.get(status_url(session)).status_code == 404
        assert client.get(f"/api/v1/uploads/status/{uuid7()}").status_code == 404
        assert client.get("/api/v1/uploads/status/1").status_code == 404
        assert api.get(status_url(session)).status_code == 401

    def test_a_worker_can_read_the_status(self, worker_client: APIClient, session: Session) -> None:
        assert worker_client.get(status_url(session)).status_code == 200
