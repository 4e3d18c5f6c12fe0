from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from common.tests.support.ai_provider import FakeProvider
from notes.models import MAX_INSTRUCTIONS_CHARS, Summary, SummaryTemplate

pytestmark = pytest.mark.django_db
URL = "/api/v1/summary-templates"
BUILT_IN = ["paragraph", "bullets", "executive", "action_items"]
INSTRUCTIONS = "Say what it means for our customers."
UUID_NAME = UUID("01990f6e-5a4f-7000-8000-0123456789ab")
# PostgreSQL's LOWER and Python's `lower` differ for Istanbul with a dotted capital I, and for
# Sisyphus in Greek capitals.
NAMES_WITH_SPECIAL_CASE_RULES = ["\u0130stanbul", "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3"]


@pytest.fixture
def template(owner: User) -> SummaryTemplate:
    return SummaryTemplate.objects.create(
        company=owner.company, name="Customers", instructions=INSTRUCTIONS
    )


def detail_url(template: SummaryTemplate) -> str:
    return f"{URL}/{template.pk}"


def lower_in_database(name: str) -> str:
    """Return the result of the database's LOWER."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT LOWER(%s)", [name])
        return str(cursor.fetchone()[0])


def names(client: APIClient, **query: Any) -> list[str]:
    return [item["name"] for item in client.get(URL, query).json()["items"]]


class TestRead:
    def test_lists_the_built_in_templates_first(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        body = as_user(owner).get(URL).json()
        assert [item["name"] for item in body["items"]] == [*BUILT_IN, "Customers"]
        assert [item["built_in"] for item in body["items"]] == [True] * 4 + [False]
        assert [item["id"] for item in body["items"]] == [*BUILT_IN, str(template.pk)]
        assert (body["total"], body["total_pages"]) == (5, 1)
        assert body["items"][4]["instructions"] == INSTRUCTIONS
        assert body["items"][0]["description"]

    def test_pages_span_built_in_and_own_templates(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        client = as_user(owner)
        assert names(client, page_size=3, page=2) == ["action_items", "Customers"]
        assert names(client, page=9) == []

    def test_retrieves_one_template(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        client = as_user(owner)
        assert client.get(detail_url(template)).json()["name"] == "Customers"
        assert client.get(f"{URL}/bullets").json()["built_in"] is True
        assert client.get(f"{URL}/poem").status_code == 404

    def test_the_template_does_not_exist_for_another_company(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        client = as_user(outsider)
        assert names(client) == BUILT_IN
        responses = [
            client.get(detail_url(template)),
            client.patch(detail_url(template), {"name": "x"}),
            client.delete(detail_url(template)),
        ]
        assert [response.status_code for response in responses] == [404] * 3

    def test_a_worker_account_is_forbidden(self, as_user: Any, worker_account: User) -> None:
        assert as_user(worker_account).get(URL).status_code == 403

    def test_the_number_of_queries_does_not_depend_on_the_number_of_templates(
        self, as_user: Any, owner: User, template: SummaryTemplate, count_queries: Any
    ) -> None:
        client = as_user(owner)
        expected_queries = count_queries(lambda: client.get(URL, {"page_size": 100}))
        for number in range(30):
            SummaryTemplate.objects.create(company=owner.company, name=f"T{number}")
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == expected_queries


class TestWrite:
    def test_an_admin_creates_changes_and_deletes_a_template(
        self, as_user: Any, admin: User
    ) -> None:
        client = as_user(admin)
        response = client.post(URL, {"name": "Risks", "instructions": "Only risks."})
        assert response.status_code == 201
        body = response.json()
        assert (body["name"], body["built_in"]) == ("Risks", False)
        assert body["company_id"] == str(admin.company_id)
        url = f"{URL}/{body['id']}"
        assert client.patch(url, {"description": "Short."}).json() == client.get(url).json()
        assert client.get(url).json()["description"] == "Short."
        assert client.put(url, {"name": "Dangers"}).json()["instructions"] == "Only risks."
        assert client.delete(url).status_code == 204
        assert not SummaryTemplate.objects.exists()

    def test_an_agent_is_forbidden(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        client = as_user(owner)
        responses = [
            client.post(URL, {"name": "x", "instructions": "y"}),
            client.patch(detail_url(template), {"name": "x"}),
            client.delete(detail_url(template)),
            client.delete(f"{URL}/bullets"),
        ]
        assert [response.status_code for response in responses] == [403] * 4

    @pytest.mark.parametrize("method", ["patch", "put", "delete"])
    def test_a_built_in_template_cannot_be_changed(
        self, as_user: Any, admin: User, method: str
    ) -> None:
        response = getattr(as_user(admin), method)(f"{URL}/bullets", {"name": "x"})
        assert (response.status_code, response.json()["code"]) == (409, "built_in")

    @pytest.mark.parametrize(
        ("body", "field", "code"),
        [
            ({"instructions": "x"}, "name", "required"),
            ({"name": "x"}, "instructions", "required"),
            ({"name": "x", "instructions": 5}, "instructions", "invalid"),
            ({"name": " ", "instructions": "x"}, "name", "blank"),
            ({"name": "x" * 61, "instructions": "x"}, "name", "max_length"),
            ({"name": "a\nb", "instructions": "x"}, "name", "invalid"),
            ({"name": "Bullets", "instructions": "x"}, "name", "unique"),
            ({"name": str(UUID_NAME), "instructions": "x"}, "name", "invalid"),
            ({"name": UUID_NAME.hex.upper(), "instructions": "x"}, "name", "invalid"),
            (
                {"name": "x", "instructions": "x" * (MAX_INSTRUCTIONS_CHARS + 1)},
                "instructions",
                "max_length",
            ),
            ({"name": "x", "instructions": "x", "lookup": 1}, "lookup", "unknown_field"),
            ({"name": "x", "instructions": "x", "built_in": True}, "built_in", "read_only"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_an_invalid_body_is_refused_with_its_field_and_code(
        self,
        as_user: Any,
        admin: User,
        template: SummaryTemplate,
        body: dict,
        field: str,
        code: str,
    ) -> None:
        response = as_user(admin).post(URL, body)
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
        assert SummaryTemplate.objects.count() == 1

    def test_a_name_is_unique_in_a_company(
        self, as_user: Any, admin: User, template: SummaryTemplate
    ) -> None:
        response = as_user(admin).post(URL, {"name": "customers", "instructions": "x"})
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("name", "unique")]

    @pytest.mark.parametrize("name", NAMES_WITH_SPECIAL_CASE_RULES)
    def test_names_are_compared_with_the_case_rules_of_the_database(
        self, as_user: Any, admin: User, name: str
    ) -> None:
        client, body = as_user(admin), {"name": name, "instructions": "x"}
        assert client.post(URL, body).status_code == 201
        response = client.post(URL, body | {"name": lower_in_database(name)})
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("name", "unique")]

    def test_a_name_is_unique_in_each_spelling(self, as_user: Any, admin: User) -> None:
        client, body = as_user(admin), {"name": "Gr\u00f6\u00dfe", "instructions": "x"}
        assert client.post(URL, body).status_code == 201
        assert client.post(URL, body | {"name": "Gro\u0308\u00dfe"}).status_code == 400

    def test_two_companies_can_use_the_same_name(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        body = {"name": "Customers", "instructions": "x"}
        assert as_user(outsider).post(URL, body).status_code == 201


class TestUse:
    @pytest.mark.parametrize("name", NAMES_WITH_SPECIAL_CASE_RULES)
    def test_a_name_is_found_in_any_case(self, as_user: Any, owner: User, name: str) -> None:
        SummaryTemplate.objects.create(company=owner.company, name=name)
        for name_or_id in (name, lower_in_database(name)):
            sent = {"text": "A pump.", "template": name_or_id}
            assert as_user(owner).post("/api/v1/summaries", sent).json()["template"] == name

    @pytest.mark.parametrize("lookup", ["name", "id"])
    def test_a_template_is_found_by_name_and_by_id(
        self,
        as_user: Any,
        owner: User,
        template: SummaryTemplate,
        provider: FakeProvider,
        run: Any,
        lookup: str,
    ) -> None:
        name_or_id = "CUSTOMERS" if lookup == "name" else str(template.pk)
        body = as_user(owner).post("/api/v1/summaries", {"text": "A pump.", "template": name_or_id})
        assert body.json()["template"] == "Customers"
        run(body.json()["id"])
        assert INSTRUCTIONS in provider.requests[0].system

    def test_an_id_is_not_looked_up_as_a_name(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        """An older template may have this UUID as its name; new ones are refused."""
        SummaryTemplate.objects.create(
            pk=UUID(int=2**128 - 1), company=owner.company, name=str(template.pk)
        )
        sent = {"text": "A pump.", "template": str(template.pk)}
        response = as_user(owner).post("/api/v1/summaries", sent)
        assert response.json()["template"] == "Customers"

    def test_another_companys_template_is_not_found(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        for name_or_id in ("Customers", str(template.pk)):
            sent = {"text": "A pump.", "template": name_or_id}
            assert as_user(outsider).post("/api/v1/summaries", sent).status_code == 400

    def test_a_summary_keeps_the_instructions_of_a_deleted_template(
        self, as_user: Any, admin: User, template: SummaryTemplate, provider: FakeProvider, run: Any
    ) -> None:
        client = as_user(admin)
        sent = {"text": "A pump.", "template": "Customers"}
        summary_id = client.post("/api/v1/summaries", sent).json()["id"]
        assert client.delete(detail_url(template)).status_code == 204
        run(summary_id)
        assert INSTRUCTIONS in provider.requests[0].system
        assert client.get(f"/api/v1/summaries/{summary_id}").json()["template"] == "Customers"
        assert Summary.objects.get().instructions == INSTRUCTIONS
