from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from uploads.models import Cycle, Project, Session
from uploads.tests.factories import CycleFactory, ProjectFactory, SessionFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/cycles"


def url_of(cycle: Cycle) -> str:
    return f"{URL}/{cycle.pk}"


@pytest.fixture
def body(project: Project) -> dict[str, Any]:
    return {"project_id": str(project.pk), "name": "Spring", "number": 7}


class TestCreate:
    def test_the_response_contains_the_row(
        self, client: APIClient, body: dict, owner: User
    ) -> None:
        metadata = {"crew": ["Ann", "Bob"], "depth": 1.5, "note": "Übung 🙂"}
        sent = body | {"prefix": "2026/spring/", "metadata": metadata}
        response = client.post(URL, sent)
        assert response.status_code == 201
        answer = response.json()
        assert answer == answer | sent | {"prefix": "2026/spring", "status": "pending"}
        assert answer["company_id"] == str(owner.company_id)

    @pytest.mark.parametrize(
        ("changes", "field", "code"),
        [
            ({"number": 0}, "number", "min_value"),
            ({"number": 10**400}, "number", "max_value"),
            ({"number": "one"}, "number", "invalid"),
            ({"number": True}, "number", "invalid"),
            ({"name": " "}, "name", "blank"),
            ({"prefix": "/a"}, "prefix", "invalid"),
            ({"prefix": "a/../b"}, "prefix", "invalid"),
            ({"prefix": "a//b"}, "prefix", "invalid"),
            ({"prefix": "a\nb"}, "prefix", "invalid"),
            ({"prefix": "x" * 256}, "prefix", "invalid"),
            ({"metadata": []}, "metadata", "not_an_object"),
            ({"metadata": {"a": [{"b\0": 1}]}}, "metadata", "null_characters"),
            ({"metadata": {"a": "x" * 70_000}}, "metadata", "too_large"),
            ({"project_id": 1}, "project_id", "incorrect_type"),
            ({"project_id": "x"}, "project_id", "invalid"),
            ({"cycle": 1}, "cycle", "unknown_field"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_invalid_input_is_rejected_by_field(
        self, client: APIClient, body: dict, errors: Any, changes: dict, field: str, code: str
    ) -> None:
        assert errors(client.post(URL, body | changes)) == [(field, code)]
        assert not Cycle.objects.exists()

    @pytest.mark.parametrize("metadata", ['{"a": 1e999}', r'{"a": "\ud800"}', r'{"\ud800": 1}'])
    def test_invalid_json_values_are_rejected(
        self, client: APIClient, project: Project, errors: Any, metadata: str
    ) -> None:
        text = f'{{"project_id": "{project.pk}", "name": "x", "number": 1, "metadata": {metadata}}}'
        response = client.post(URL, text, content_type="application/json")
        assert errors(response) == [("metadata", "invalid")]

    def test_a_number_must_be_unique_within_the_project(
        self, client: APIClient, body: dict, project: Project, errors: Any
    ) -> None:
        assert client.post(URL, body).status_code == 201
        assert errors(client.post(URL, body)) == [("number", "unique")]
        other = ProjectFactory(company=project.company)
        assert client.post(URL, body | {"project_id": str(other.pk)}).status_code == 201

    def test_a_project_of_another_company_is_rejected(
        self, outsider_client: APIClient, body: dict, errors: Any
    ) -> None:
        assert errors(outsider_client.post(URL, body)) == [("project_id", "does_not_exist")]

    def test_an_inactive_project_is_rejected(
        self, client: APIClient, body: dict, project: Project, errors: Any
    ) -> None:
        Project.objects.filter(pk=project.pk).update(is_active=False)
        assert errors(client.post(URL, body)) == [("project_id", "inactive")]

    def test_a_cycle_belongs_to_the_company_of_its_project(
        self, as_user: Any, superuser: User, body: dict, project: Project
    ) -> None:
        created = as_user(superuser).post(URL, body).json()
        assert created["company_id"] == str(project.company_id)


class TestRoles:
    def status_codes(self, client: APIClient, cycle: Cycle) -> list[int]:
        return [
            client.get(url_of(cycle)).status_code,
            client.patch(url_of(cycle), {"name": "x"}).status_code,
            client.put(url_of(cycle), {"name": "y"}).status_code,
            client.delete(url_of(cycle)).status_code,
        ]

    @pytest.mark.parametrize(
        ("who", "codes"),
        [
            ("colleague", [200, 200, 200, 204]),
            ("admin", [200, 200, 200, 204]),
            ("superuser", [200, 200, 200, 204]),
            ("worker_account", [200, 403, 403, 403]),
            ("outsider", [404] * 4),
        ],
    )
    def test_each_role_gets_the_expected_status_codes(
        self, as_user: Any, cycle: Cycle, who: str, codes: list, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert client.get(URL).json()["total"] == (who != "outsider")
        assert self.status_codes(client, cycle) == codes

    def test_a_worker_cannot_create_cycles(self, worker_client: APIClient, body: dict) -> None:
        assert worker_client.post(URL, body).status_code == 403


class TestUpdate:
    def test_a_response_may_be_sent_back_with_changes(
        self, client: APIClient, cycle: Cycle
    ) -> None:
        body = client.get(url_of(cycle)).json()
        answer = client.put(url_of(cycle), body | {"name": "New", "status": "completed"}).json()
        assert answer == body | {"name": "New", "updated_at": answer["updated_at"]}

    def test_a_cycle_cannot_move_to_another_project(
        self, client: APIClient, cycle: Cycle, errors: Any
    ) -> None:
        other = ProjectFactory(company=cycle.company)
        response = client.patch(url_of(cycle), {"project_id": str(other.pk)})
        assert errors(response) == [("project_id", "immutable")]


class TestDelete:
    def test_a_cycle_with_sessions_cannot_be_deleted(
        self, client: APIClient, session: Session
    ) -> None:
        assert client.delete(url_of(session.cycle)).status_code == 409
        session.delete()
        assert client.delete(url_of(session.cycle)).status_code == 204


class TestStatus:
    """A cancelled session only counts if the cycle has no others."""

    @pytest.mark.parametrize(
        ("sessions", "status"),
        [
            ("", "pending"),
            ("pending", "pending"),
            ("queued", "in_progress"),
            ("in_progress completed", "in_progress"),
            ("pending completed", "in_progress"),
            ("pending cancelled", "pending"),
            ("completed completed", "completed"),
            ("completed cancelled", "completed"),
            ("completed failed", "partial"),
            ("completed partial", "partial"),
            ("failed failed", "failed"),
            ("cancelled", "cancelled"),
        ],
    )
    def test_the_status_is_computed_from_the_sessions(
        self, client: APIClient, cycle: Cycle, sessions: str, status: str
    ) -> None:
        CycleFactory(project=cycle.project)
        for session_status in sessions.split():
            SessionFactory(cycle=cycle, status=session_status)
        assert client.get(url_of(cycle)).json()["status"] == status
        found = client.get(URL, {"status": status}).json()["items"]
        assert str(cycle.pk) in [item["id"] for item in found]

    def test_the_status_follows_each_transition_of_a_session(
        self, client: APIClient, session: Session
    ) -> None:
        def status() -> str:
            return client.get(url_of(session.cycle)).json()["status"]

        session.start()
        assert status() == "in_progress"
        run = Session.objects.claim(session.pk)
        assert status() == "in_progress"
        run.finish(status="partial")
        assert status() == "partial"
        assert client.post(f"/api/v1/sessions/{session.pk}/retry").status_code == 202
        assert status() == "in_progress"


class TestList:
    @pytest.mark.parametrize(
        ("query", "found"),
        [({}, 2), ({"search": "spring"}, 1), ({"status": "failed"}, 0), ({"status": "pending"}, 2)],
        ids=str,
    )
    def test_filters_limit_the_list(
        self, client: APIClient, cycle: Cycle, query: dict, found: int
    ) -> None:
        other = CycleFactory(project__company=cycle.company)
        assert client.get(URL, query).json()["total"] == found
        own = client.get(URL, query | {"project_id": str(other.project_id)}).json()["items"]
        assert [item["id"] for item in own] in ([str(other.pk)], [])

    @pytest.mark.parametrize(
        "query", [{"project_id": "1"}, {"status": "queued"}, {"ordering": "status"}], ids=str
    )
    def test_an_invalid_query_value_is_named(
        self, client: APIClient, query: dict, errors: Any
    ) -> None:
        assert [field for field, _ in errors(client.get(URL, query))] == list(query)

    def test_a_project_of_another_company_has_no_cycles(
        self, outsider_client: APIClient, cycle: Cycle
    ) -> None:
        assert outsider_client.get(URL, {"project_id": str(cycle.project_id)}).json()["total"] == 0

    def test_the_query_count_is_the_same_for_one_row_and_thirty(
        self, client: APIClient, cycle: Cycle, count_queries: Any
    ) -> None:
        few = count_queries(lambda: client.get(URL, {"page_size": 100}))
        CycleFactory.create_batch(30, project=cycle.project)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == few
