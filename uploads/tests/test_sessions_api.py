from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from uploads.models import Cycle, Project, Session
from uploads.tests.factories import CycleFactory, SessionFactory, SessionFileFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/sessions"
ENDED = ("completed", "partial", "failed", "cancelled")


def url_of(session: Session, action: str = "") -> str:
    return f"{URL}/{session.pk}{action}"


@pytest.fixture
def body(cycle: Cycle) -> dict[str, Any]:
    return {
        "project_id": str(cycle.project_id),
        "cycle_id": str(cycle.pk),
        "local_directory": "day-1/raw",
    }


class TestCreate:
    def test_the_response_contains_a_pending_session(
        self, client: APIClient, body: dict, owner: User
    ) -> None:
        response = client.post(URL, body)
        assert response.status_code == 201
        answer = response.json()
        assert answer == answer | body | {
            "status": "pending",
            "prefix": "2026/spring",
            "max_workers": 10,
            "times_to_retry": 3,
            "include": [],
            "exclude": [],
            "verify": "mtime",
            "total_files": 0,
            "files_uploaded": 0,
            "files_failed": 0,
            "files_skipped": 0,
            "total_size_bytes": 0,
            "bytes_uploaded": 0,
            "progress": 0.0,
            "attempts": 0,
            "error": "",
            "started_at": None,
            "finished_at": None,
            "user_id": str(owner.pk),
            "company_id": str(owner.company_id),
        }
        assert not Session.objects.due().exists()

    def test_all_options_are_stored(self, client: APIClient, body: dict) -> None:
        options = {
            "prefix": "",
            "max_workers": 50,
            "times_to_retry": 0,
            "include": ["*.csv", "raw/**"],
            "exclude": ["tmp/*"],
            "verify": "checksum",
        }
        answer = client.post(URL, body | options).json()
        assert answer == answer | options

    def test_a_dot_is_the_companys_folder(self, client: APIClient, body: dict) -> None:
        answer = client.post(URL, body | {"local_directory": "."}).json()
        assert answer["local_directory"] == "."

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            *(
                ({"local_directory": name}, ["local_directory"])
                for name in ("..", "a/..", "../x", "/etc", "a//b", "a\0b", "a\nb", "a\\b", "/")
            ),
            ({"status": "completed"}, ["status"]),
            ({"local_directory": ["a"]}, ["local_directory"]),
            ({"local_directory": "x" * 256}, ["local_directory"]),
            ({"prefix": "../x"}, ["prefix"]),
            ({"max_workers": 0}, ["max_workers"]),
            ({"max_workers": 51}, ["max_workers"]),
            ({"max_workers": 10**400}, ["max_workers"]),
            ({"max_workers": 1.5}, ["max_workers"]),
            ({"times_to_retry": -1}, ["times_to_retry"]),
            ({"times_to_retry": 11}, ["times_to_retry"]),
            ({"include": "*.csv"}, ["include"]),
            ({"include": [""]}, ["include.0"]),
            ({"exclude": ["*", "../*"]}, ["exclude.1"]),
            ({"exclude": ["a\0"]}, ["exclude.0"]),
            (
                {"include": ["*.{jpg,png}", "!*.csv", "/a", "ok"]},
                [f"include.{n}" for n in range(3)],
            ),
            ({"include": ["x" * 201]}, ["include.0"]),
            ({"exclude": ["*"] * 101}, ["exclude"]),
            ({"include": [{"a": 1}]}, ["include.0"]),
            ({"verify": "size"}, ["verify"]),
            ({"cycle_id": None}, ["cycle_id"]),
            ({"folder": "x"}, ["folder"]),
            ({"max_workers": "many", "prefix": "/"}, ["max_workers", "prefix"]),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_invalid_input_is_rejected_by_field(
        self, client: APIClient, body: dict, errors: Any, changes: dict, fields: list
    ) -> None:
        response = client.post(URL, body | changes)
        assert sorted(field for field, _ in errors(response)) == fields
        assert not Session.objects.exists()

    def test_missing_fields_are_named(self, client: APIClient, errors: Any) -> None:
        fields = ("project_id", "cycle_id")
        assert errors(client.post(URL, {})) == [(field, "required") for field in fields]

    def test_a_cycle_of_another_project_is_rejected(
        self, client: APIClient, body: dict, errors: Any
    ) -> None:
        other = CycleFactory(project__company_id=Project.objects.get().company_id)
        response = client.post(URL, body | {"cycle_id": str(other.pk)})
        assert errors(response) == [("cycle_id", "other_project")]

    def test_a_project_of_another_company_is_rejected(
        self, outsider_client: APIClient, body: dict, errors: Any
    ) -> None:
        codes = errors(outsider_client.post(URL, body))
        assert codes == [("project_id", "does_not_exist"), ("cycle_id", "does_not_exist")]

    def test_an_inactive_project_is_rejected(
        self, client: APIClient, body: dict, project: Project, errors: Any
    ) -> None:
        Project.objects.filter(pk=project.pk).update(is_active=False)
        assert errors(client.post(URL, body)) == [("project_id", "inactive")]

    def test_a_worker_cannot_create_sessions(self, worker_client: APIClient, body: dict) -> None:
        assert worker_client.post(URL, body).status_code == 403

    def test_requests_with_the_same_idempotency_key_create_one_session(
        self, client: APIClient, body: dict
    ) -> None:
        ids = {client.post(URL, body, HTTP_IDEMPOTENCY_KEY="k").json()["id"] for _ in range(2)}
        assert len(ids) == Session.objects.count() == 1


class TestVisibility:
    def status_codes(self, client: APIClient, session: Session) -> list[int]:
        return [
            client.get(url_of(session)).status_code,
            client.get(url_of(session, "/files")).status_code,
            client.patch(url_of(session), {"max_workers": 3}).status_code,
            client.put(url_of(session), {"max_workers": 4}).status_code,
            client.post(url_of(session, "/cancel")).status_code,
            client.post(url_of(session, "/retry")).status_code,
            client.post(url_of(session, "/cancel")).status_code,
            client.delete(url_of(session)).status_code,
        ]

    @pytest.mark.parametrize(
        ("who", "codes"),
        [
            ("owner", [200, 200, 200, 200, 200, 202, 200, 204]),
            ("colleague", [200, 200, 200, 200, 200, 202, 200, 204]),
            ("admin", [200, 200, 200, 200, 200, 202, 200, 204]),
            ("superuser", [200, 200, 200, 200, 200, 202, 200, 204]),
            ("worker_account", [200, 200, 403, 403, 403, 403, 403, 403]),
            ("outsider", [404] * 8),
        ],
    )
    def test_each_role_gets_the_expected_status_codes(
        self,
        as_user: Any,
        session: Session,
        who: str,
        codes: list[int],
        request: pytest.FixtureRequest,
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert client.get(URL).json()["total"] == (who != "outsider")
        assert self.status_codes(client, session) == codes


class TestUpdate:
    def test_a_pending_session_can_be_changed(self, client: APIClient, session: Session) -> None:
        answer = client.patch(url_of(session), {"local_directory": "b/", "include": ["*.x"]}).json()
        assert (answer["local_directory"], answer["include"]) == ("b", ["*.x"])

    @pytest.mark.parametrize("status", ["queued", "in_progress", *ENDED])
    def test_a_session_that_is_not_pending_cannot_be_changed(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        sent = client.get(url_of(session)).json()
        assert client.put(url_of(session), sent).status_code == 200
        assert client.put(url_of(session), sent | {"max_workers": 3}).status_code == 409

    def test_an_agent_can_not_report_values(
        self, client: APIClient, session: Session, errors: Any
    ) -> None:
        sent = {"files_uploaded": 5, "attempts": 9}
        assert errors(client.put(url_of(session), sent)) == [
            ("files_uploaded", "read_only"),
            ("attempts", "read_only"),
        ]

    @pytest.mark.parametrize("status", ["queued", "in_progress", "partial", "failed"])
    def test_an_agent_cannot_set_a_status_of_the_server(
        self, client: APIClient, session: Session, errors: Any, status: str
    ) -> None:
        for send in (client.put, client.patch):
            response = send(url_of(session), {"status": status, "max_workers": 3})
            assert errors(response) == [("status", "read_only")]
        assert errors(client.put(url_of(session), {"status": "x"})) == [
            ("status", "invalid_choice")
        ]
        session.refresh_from_db()
        assert (session.status, session.max_workers) == ("pending", 10)

    def test_a_status_of_cancelled_cancels_the_session(
        self, client: APIClient, session: Session
    ) -> None:
        answer = client.put(url_of(session), {"status": "cancelled"})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert client.put(url_of(session), {"status": "cancelled"}).status_code == 200
        assert client.put(url_of(session), {"status": "completed"}).status_code == 409

    @pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled", "partial"])
    def test_the_stale_status_of_a_row_that_is_sent_back_whole_is_ignored(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        row = client.get(url_of(session)).json() | {"status": status}
        answer = client.put(url_of(session), row | {"max_workers": 3}).json()
        assert (answer["status"], answer["max_workers"]) == ("pending", 3)

    def test_a_changed_cycle_must_belong_to_the_project(
        self, client: APIClient, session: Session, errors: Any
    ) -> None:
        other = CycleFactory(project__company=session.company)
        url = url_of(session)
        assert errors(client.patch(url, {"cycle_id": str(other.pk)})) == [
            ("cycle_id", "other_project")
        ]
        both = {"cycle_id": str(other.pk), "project_id": str(other.project_id)}
        assert client.patch(url, both).status_code == 200


class TestReport:
    """Reports of a worker account on a session that it runs itself."""

    def test_a_worker_reports_from_start_to_end(
        self, worker_client: APIClient, session: Session
    ) -> None:
        url = url_of(session)
        first = {"status": "in_progress", "total_files": 3, "total_size_bytes": 2**40}
        answer = worker_client.put(url, first).json()
        assert answer == answer | first
        assert answer["started_at"]
        assert not Session.objects.due().exists()
        half = {"files_uploaded": 1, "bytes_uploaded": 2**39}
        assert worker_client.patch(url, half).json()["progress"] == 0.5
        last = {"status": "partial", "files_uploaded": 2, "files_failed": 1}
        answer = worker_client.put(url, answer | half | last).json()
        assert answer == answer | last
        assert answer["finished_at"]
        cycle = worker_client.get(f"/api/v1/cycles/{session.cycle_id}").json()
        assert cycle["status"] == "partial"

    def test_the_error_of_a_reported_failure_says_so(
        self, worker_client: APIClient, session: Session
    ) -> None:
        answer = worker_client.put(url_of(session), {"status": "failed"}).json()
        assert (answer["status"], "reported" in answer["error"]) == ("failed", True)

    def test_counters_cannot_decrease(
        self, worker_client: APIClient, session: Session, errors: Any
    ) -> None:
        worker_client.patch(url_of(session), {"files_uploaded": 5, "files_skipped": 2})
        response = worker_client.patch(url_of(session), {"files_uploaded": 4, "files_skipped": 3})
        assert errors(response) == [("files_uploaded", "backwards")]
        session.refresh_from_db()
        assert (session.files_uploaded, session.files_skipped) == (5, 2)

    @pytest.mark.django_db(transaction=True)
    def test_of_concurrent_reports_the_largest_counter_is_kept(
        self, as_user: Any, worker_account: User, session: Session
    ) -> None:
        worker_clients = [as_user(worker_account) for _ in range(6)]

        def put(counter: int) -> int:
            try:
                sent = {"files_uploaded": counter}
                return worker_clients[counter].patch(url_of(session), sent).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            assert set(threads.map(put, range(6))) <= {200, 400}
        session.refresh_from_db()
        assert session.files_uploaded == 5

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            ({"files_uploaded": -1}, "min_value"),
            ({"files_uploaded": 500_000_001}, "max_value"),
            ({"bytes_uploaded": 2**53 + 1}, "max_value"),
            ({"bytes_uploaded": 10**400}, "max_value"),
            ({"files_failed": "x"}, "invalid"),
            ({"files_failed": None}, "null"),
            ({"status": "done"}, "invalid_choice"),
            ({"status": "cancelled"}, "invalid_choice"),
            ({"status": "queued"}, "invalid_choice"),
            ({"uploaded": 1}, "unknown_field"),
        ],
        ids=str,
    )
    def test_invalid_input_is_rejected_by_field(
        self, worker_client: APIClient, session: Session, errors: Any, sent: dict, code: str
    ) -> None:
        assert errors(worker_client.put(url_of(session), sent)) == [(next(iter(sent)), code)]

    def test_a_report_cannot_change_other_fields(
        self, worker_client: APIClient, session: Session
    ) -> None:
        sent = worker_client.get(url_of(session)).json() | {"files_uploaded": 3}
        assert worker_client.put(url_of(session), sent).status_code == 200
        assert worker_client.put(url_of(session), sent | {"max_workers": 3}).status_code == 403
        assert worker_client.put(url_of(session), {"local_directory": "b"}).status_code == 403
        assert worker_client.put(url_of(session), {"include": ["*"]}).status_code == 403

    @pytest.mark.parametrize("status", ENDED)
    def test_a_session_that_has_ended_takes_no_report(
        self, worker_client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert worker_client.put(url_of(session), {"status": status}).status_code == 200
        assert worker_client.put(url_of(session), {"files_uploaded": 3}).status_code == 409
        assert worker_client.put(url_of(session), {"status": "in_progress"}).status_code == 409

    def test_a_session_run_by_a_bureau_worker_takes_no_report(
        self, worker_client: APIClient, session: Session
    ) -> None:
        session.start()
        run = Session.objects.claim(session.pk)
        for sent in ({"files_uploaded": 3}, {"status": "completed"}):
            assert worker_client.put(url_of(session), sent).status_code == 409
        assert run.finish(files_uploaded=9) is True

    def test_a_report_takes_a_queued_session_from_the_bureau_workers(
        self, worker_client: APIClient, session: Session
    ) -> None:
        session.start()
        assert worker_client.put(url_of(session), {"status": "in_progress"}).status_code == 200
        assert Session.objects.claim(session.pk) is None

    def test_a_worker_of_another_company_gets_404(
        self, as_user: Any, session: Session, outsider: User
    ) -> None:
        outsider.role = "worker"
        outsider.save()
        assert as_user(outsider).put(url_of(session), {"files_uploaded": 1}).status_code == 404


class TestCancel:
    @pytest.mark.parametrize("status", ["pending", "queued", "in_progress"])
    def test_an_unfinished_session_can_be_cancelled(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        answer = client.post(url_of(session, "/cancel")).json()
        assert answer["status"] == "cancelled"
        assert answer["finished_at"]
        assert client.post(url_of(session, "/cancel")).status_code == 409

    def test_a_running_job_cannot_finish_a_cancelled_session(
        self, client: APIClient, session: Session
    ) -> None:
        session.start()
        run = Session.objects.claim(session.pk)
        client.post(url_of(session, "/cancel"))
        assert run.finish() is False
        assert client.get(url_of(session)).json()["status"] == "cancelled"


class TestRetry:
    @pytest.mark.parametrize("status", ["partial", "failed", "cancelled"])
    def test_only_failed_files_are_queued_again(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status, error="Some failed.", files_failed=1, total_files=3)
        for file_status in ("uploaded", "skipped", "failed"):
            SessionFileFactory(session=session, status=file_status, error="?", attempts=4)
        response = client.post(url_of(session, "/retry"))
        assert response.status_code == 202
        answer = response.json()
        assert answer == answer | {
            "status": "queued",
            "error": "",
            "attempts": 0,
            "total_files": 3,
            "files_uploaded": 1,
            "files_failed": 0,
            "files_skipped": 1,
            "total_size_bytes": 30,
            "bytes_uploaded": 10,
            "finished_at": None,
        }
        statuses = session.files.order_by("key").values_list("status", "attempts")
        assert list(statuses) == [("uploaded", 4), ("skipped", 4), ("pending", 0)]

    @pytest.mark.parametrize("status", ["pending", "queued", "in_progress", "completed"])
    def test_other_sessions_cannot_be_retried(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert client.post(url_of(session, "/retry")).status_code == 409
        session.refresh_from_db()
        assert session.status == status

    def test_a_session_of_an_inactive_project_cannot_be_retried(
        self, client: APIClient, session: Session
    ) -> None:
        Session.objects.update(status="failed")
        Project.objects.update(is_active=False)
        assert client.post(url_of(session, "/retry")).status_code == 409


class TestDelete:
    @pytest.mark.parametrize("status", ["pending", *ENDED])
    def test_deleting_a_session_deletes_its_file_rows(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        SessionFileFactory(session=session)
        Session.objects.update(status=status)
        assert client.delete(url_of(session)).status_code == 204
        assert client.get(url_of(session)).status_code == 404

    @pytest.mark.parametrize("status", ["queued", "in_progress"])
    def test_an_active_session_cannot_be_deleted(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert client.delete(url_of(session)).status_code == 409
        assert Session.objects.exists()


class TestList:
    def test_filters_limit_the_list(self, client: APIClient, session: Session) -> None:
        other = SessionFactory(
            cycle__project__company=session.company, local_directory="b", status="failed"
        )

        def found(**query: Any) -> set[str]:
            items = client.get(URL, query).json()["items"]
            return {item["local_directory"] for item in items}

        assert found() == {"b", "day-1"}
        assert found(project_id=session.project_id) == {"day-1"}
        assert found(cycle_id=other.cycle_id) == {"b"}
        assert found(status="failed") == {"b"}
        assert found(user_id=session.user_id) == {"day-1"}
        assert found(search="DAY") == found(search="glaci") == {"day-1"}
        assert found(created_after=other.created_at.isoformat()) == {"b"}
        assert found(created_before=other.created_at.isoformat()) == {"day-1"}

    @pytest.mark.parametrize("name", ["started_at", "finished_at"])
    def test_sessions_without_the_time_come_last(
        self, client: APIClient, session: Session, name: str
    ) -> None:
        early, late = (
            SessionFactory(cycle=session.cycle, **{name: datetime(year, 1, 1, tzinfo=UTC)})
            for year in (2025, 2026)
        )

        def found(ordering: str) -> list[str]:
            return [item["id"] for item in client.get(URL, {"ordering": ordering}).json()["items"]]

        assert found(name) == [str(early.pk), str(late.pk), str(session.pk)]
        assert found(f"-{name}") == [str(late.pk), str(early.pk), str(session.pk)]

    @pytest.mark.parametrize(
        "query",
        [
            {"project_id": "1"},
            {"cycle_id": "x"},
            {"status": "done"},
            {"ordering": "company"},
            {"created_after": "soon"},
        ],
        ids=str,
    )
    def test_an_invalid_query_value_is_named(
        self, client: APIClient, query: dict, errors: Any
    ) -> None:
        assert [field for field, _ in errors(client.get(URL, query))] == list(query)

    def test_the_query_count_is_the_same_for_one_row_and_thirty(
        self, client: APIClient, session: Session, count_queries: Any
    ) -> None:
        few = count_queries(lambda: client.get(URL, {"page_size": 100}))
        SessionFactory.create_batch(30, cycle=session.cycle)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == few


class TestStatistics:
    def test_statistics_sum_all_sessions_or_those_of_one_project(
        self, client: APIClient, outsider_client: APIClient, session: Session
    ) -> None:
        for number, status in enumerate(("queued", "in_progress", *ENDED)):
            counters = {"files_uploaded": number, "bytes_uploaded": 2**62 * (status == "failed")}
            SessionFactory(cycle__project__company=session.company, status=status, **counters)
        assert client.get(f"{URL}/stats").json() == {
            "total_sessions": 7,
            "active_sessions": 2,
            "completed_sessions": 1,
            "failed_sessions": 1,
            "total_files_uploaded": 15,
            "total_bytes_uploaded": 2**62,
        }
        one_project = client.get(f"{URL}/stats", {"project_id": str(session.project_id)}).json()
        assert set(one_project.values()) == {0, 1}
        assert set(outsider_client.get(f"{URL}/stats").json().values()) == {0}

    def test_an_invalid_project_id_is_named(self, client: APIClient, errors: Any) -> None:
        response = client.get(f"{URL}/stats", {"project_id": "x"})
        assert [field for field, _ in errors(response)] == ["project_id"]


class TestFiles:
    def test_files_can_be_ordered_by_their_creation(
        self, client: APIClient, session: Session
    ) -> None:
        for key in "ba":
            SessionFileFactory(session=session, key=key)
        response = client.get(url_of(session, "/files"), {"ordering": "-created_at"})
        assert [file["key"] for file in response.json()["items"]] == ["a", "b"]

    def test_files_are_paged_by_key(self, client: APIClient, session: Session) -> None:
        files = SessionFileFactory.create_batch(12, session=session, sha256="a" * 64)
        SessionFileFactory(session__cycle=session.cycle)
        body = client.get(url_of(session, "/files"), {"page_size": 5, "page": 2}).json()
        assert body["total"] == 12
        assert [item["key"] for item in body["items"]] == [file.key for file in files[5:10]]
        first = body["items"][0]
        assert first == first | {"size": 10, "sha256": "a" * 64, "status": "pending", "error": ""}

    @pytest.mark.parametrize(
        ("query", "found"), [({"status": "failed"}, 1), ({"search": "unread"}, 1), ({}, 2)], ids=str
    )
    def test_filters_limit_the_list(
        self, client: APIClient, session: Session, query: dict, found: int
    ) -> None:
        SessionFileFactory(session=session)
        SessionFileFactory(session=session, status="failed", error="It is unreadable.")
        assert client.get(url_of(session, "/files"), query).json()["total"] == found

    @pytest.mark.parametrize("query", [{"status": "x"}, {"ordering": "x"}, {"page": "0"}], ids=str)
    def test_an_invalid_query_value_is_named(
        self, client: APIClient, session: Session, query: dict, errors: Any
    ) -> None:
        response = client.get(url_of(session, "/files"), query)
        assert [field for field, _ in errors(response)] == list(query)

    def test_the_query_count_is_the_same_for_one_row_and_thirty(
        self, client: APIClient, session: Session, count_queries: Any
    ) -> None:
        SessionFileFactory(session=session)
        few = count_queries(lambda: client.get(url_of(session, "/files"), {"page_size": 100}))
        SessionFileFactory.create_batch(30, session=session)
        assert (
            count_queries(lambda: client.get(url_of(session, "/files"), {"page_size": 100})) == few
        )
