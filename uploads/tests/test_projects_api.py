from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from common.ids import uuid7
from common.jobs.status import JobStatus
from uploads.models import Cycle, Project, Session
from uploads.tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/projects"
BODY = {"name": "Rivers", "bucket_name": "river-data", "aws_region": "eu-north-1"}


def url_of(project: Project) -> str:
    return f"{URL}/{project.pk}"


class TestCreate:
    def test_the_response_contains_the_row(self, client: APIClient, owner: User) -> None:
        response = client.post(URL, BODY | {"description": "All rivers."})
        assert response.status_code == 201
        body = response.json()
        assert body | BODY == body
        assert (body["is_active"], body["description"]) == (True, "All rivers.")
        assert body["company_id"] == str(owner.company_id)
        assert {"id", "created_at", "updated_at"} <= set(body)

    def test_requests_with_the_same_idempotency_key_create_one_project(
        self, client: APIClient
    ) -> None:
        ids = {client.post(URL, BODY, HTTP_IDEMPOTENCY_KEY="k").json()["id"] for _ in range(2)}
        assert len(ids) == 1

    @pytest.mark.parametrize(
        ("changes", "field", "code"),
        [
            ({"name": ""}, "name", "blank"),
            ({"name": "a\nb"}, "name", "invalid"),
            ({"name": "a\0b"}, "name", "null_characters_not_allowed"),
            ({"name": 5 * [1]}, "name", "invalid"),
            ({"name": "x" * 201}, "name", "max_length"),
            ({"bucket_name": None}, "bucket_name", "null"),
            ({"bucket_name": "ab"}, "bucket_name", "invalid"),
            ({"bucket_name": "My_Bucket"}, "bucket_name", "invalid"),
            ({"bucket_name": "../etc"}, "bucket_name", "invalid"),
            ({"bucket_name": "a..b"}, "bucket_name", "invalid"),
            ({"bucket_name": "x" * 64}, "bucket_name", "max_length"),
            ({"aws_region": "eu/north"}, "aws_region", "invalid"),
            ({"is_active": "perhaps"}, "is_active", "invalid"),
            ({"bucket": "x"}, "bucket", "unknown_field"),
        ],
        ids=str,
    )
    def test_invalid_input_is_rejected_by_field(
        self, client: APIClient, errors: Any, changes: dict, field: str, code: str
    ) -> None:
        names = errors(client.post(URL, BODY | changes))
        assert (field, code) in names
        assert {name for name, _ in names} == {field}
        assert not Project.objects.exists()

    def test_a_name_must_be_unique_within_the_company(
        self, client: APIClient, outsider_client: APIClient, errors: Any
    ) -> None:
        assert client.post(URL, BODY).status_code == 201
        assert errors(client.post(URL, BODY)) == [("name", "unique")]
        assert outsider_client.post(URL, BODY).status_code == 201

    def test_a_name_is_unique_in_each_spelling(self, client: APIClient, errors: Any) -> None:
        assert (
            client.post(URL, BODY | {"name": "Gro\u0308\u00dfe"}).json()["name"]
            == "Gr\u00f6\u00dfe"
        )
        assert errors(client.post(URL, BODY | {"name": "Gr\u00f6\u00dfe"})) == [("name", "unique")]

    def test_missing_fields_are_named(self, client: APIClient, errors: Any) -> None:
        assert errors(client.post(URL, {})) == [("name", "required"), ("bucket_name", "required")]


class TestVisibility:
    def status_codes(self, client: APIClient, project: Project) -> list[int]:
        return [
            client.get(url_of(project)).status_code,
            client.patch(url_of(project), {"description": "x"}).status_code,
            client.put(url_of(project), {"description": "y"}).status_code,
            client.delete(url_of(project)).status_code,
        ]

    @pytest.mark.parametrize(
        ("who", "codes"),
        [
            ("owner", [200, 200, 200, 204]),
            ("colleague", [200, 200, 200, 204]),
            ("admin", [200, 200, 200, 204]),
            ("superuser", [200, 200, 200, 204]),
            ("worker_account", [200, 403, 403, 403]),
            ("outsider", [404] * 4),
        ],
    )
    def test_each_role_gets_the_expected_status_codes(
        self,
        as_user: Any,
        project: Project,
        who: str,
        codes: list[int],
        request: pytest.FixtureRequest,
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert client.get(URL).json()["total"] == (who != "outsider")
        assert self.status_codes(client, project) == codes

    def test_a_worker_cannot_create_projects(self, worker_client: APIClient) -> None:
        assert worker_client.post(URL, BODY).status_code == 403

    def test_a_hidden_project_looks_like_a_missing_one(
        self, outsider_client: APIClient, project: Project
    ) -> None:
        hidden, missing = (
            outsider_client.get(url_of(project)).json(),
            outsider_client.get(f"{URL}/{uuid7()}").json(),
        )
        assert {**hidden, "request_id": 0} == {**missing, "request_id": 0}


class TestUpdate:
    def test_a_response_may_be_sent_back_with_changes(
        self, client: APIClient, project: Project
    ) -> None:
        body = client.get(url_of(project)).json()
        answer = client.put(url_of(project), body | {"name": "Ice"}).json()
        assert answer == body | {"name": "Ice", "updated_at": answer["updated_at"]}

    def test_the_bucket_cannot_change_while_sessions_are_active(
        self, client: APIClient, session: Session
    ) -> None:
        session.start()
        url = url_of(session.project)
        assert client.patch(url, {"bucket_name": "other-data"}).status_code == 409
        assert client.patch(url, {"bucket_name": "field-data", "name": "New"}).status_code == 200
        session.cancel()
        assert client.patch(url, {"bucket_name": "other-data"}).status_code == 200

    @pytest.mark.parametrize(("status", "answer"), [("partial", 409), ("completed", 200)])
    def test_the_bucket_cannot_change_while_a_session_is_incomplete(
        self, client: APIClient, session: Session, status: str, answer: int
    ) -> None:
        Session.objects.update(status=status, files_uploaded=1)
        moved = client.patch(url_of(session.project), {"bucket_name": "other-data"})
        assert moved.status_code == answer

    def test_a_name_of_another_project_is_rejected(
        self, client: APIClient, project: Project, errors: Any
    ) -> None:
        other = ProjectFactory(company=project.company)
        assert errors(client.patch(url_of(other), {"name": "Glaciers"})) == [("name", "unique")]


class TestDelete:
    def test_deleting_a_project_deletes_its_cycles(self, client: APIClient, cycle: Cycle) -> None:
        assert client.delete(url_of(cycle.project)).status_code == 204
        assert not Cycle.objects.exists()

    @pytest.mark.parametrize("status", [JobStatus.IN_PROGRESS, JobStatus.COMPLETED])
    def test_a_project_with_sessions_cannot_be_deleted(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert client.delete(url_of(session.project)).status_code == 409
        assert Session.objects.exists()


class TestList:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({}, 2),
            ({"is_active": "true"}, 1),
            ({"is_active": "false"}, 1),
            ({"search": "LACIER"}, 1),
            ({"search": "field-data"}, 2),
            ({"search": "%"}, 0),
        ],
        ids=str,
    )
    def test_filters_limit_the_list(
        self, client: APIClient, project: Project, query: dict, found: int
    ) -> None:
        ProjectFactory(company=project.company, is_active=False)
        assert client.get(URL, query).json()["total"] == found

    @pytest.mark.parametrize(
        "query", [{"is_active": "x"}, {"ordering": "company"}, {"search": "a\0"}], ids=str
    )
    def test_an_invalid_query_value_is_named(
        self, client: APIClient, query: dict, errors: Any
    ) -> None:
        assert [field for field, _ in errors(client.get(URL, query))] == list(query)

    def test_the_list_is_ordered_by_the_given_field(
        self, client: APIClient, project: Project
    ) -> None:
        ProjectFactory(company=project.company, name="A")
        items = client.get(URL, {"ordering": "name"}).json()["items"]
        assert [item["name"] for item in items] == ["A", "Glaciers"]

    def test_the_query_count_is_the_same_for_one_row_and_thirty(
        self, client: APIClient, project: Project, count_queries: Any
    ) -> None:
        few = count_queries(lambda: client.get(URL, {"page_size": 100}))
        ProjectFactory.create_batch(30, company=project.company)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == few


def test_a_superuser_sees_all_projects_and_creates_them_in_their_company(
    as_user: Any, superuser: User, project: Project
) -> None:
    client = as_user(superuser)
    created = client.post(URL, BODY).json()
    assert created["company_id"] == str(superuser.company_id)
    assert client.get(URL).json()["total"] == 2
