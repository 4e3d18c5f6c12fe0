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
WORDS = "Say what it means for our customers."
SOME_ID = UUID("01990f6e-5a4f-7000-8000-0123456789ab")
# Istanbul with its dot and Sisyphus in capitals: PostgreSQL's LOWER makes of them what Python's
# `lower` does not.
ABROAD = ["\u0130stanbul", "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3"]


@pytest.fixture
def template(owner: User) -> SummaryTemplate:
    return SummaryTemplate.objects.create(
        company=owner.company, name="Customers", instructions=WORDS
    )


def one(template: SummaryTemplate) -> str:
    return f"{URL}/{template.pk}"


def lowered(name: str) -> str:
    """By the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT LOWER(%s)", [name])
        return str(cursor.fetchone()[0])


def names(client: APIClient, **query: Any) -> list[str]:
    return [item["name"] for item in client.get(URL, query).json()["items"]]


class TestRead:
    def test_the_built_in_ones_come_first(
        self, as_user: Any, owner: User, template: SummaryTemplate
    ) -> None:
        body = as_user(owner).get(URL).json()
        assert [item["name"] for item in body["items"]] == [*BUILT_IN, "Customers"]
        assert [item["built_in"] for item in body["items"]] == [True] * 4 + [False]
        assert [item["id"] for item in body["items"]] == [*BUILT_IN, str(template.pk)]
        assert (body["total"], body["total_pages"]) == (5, 1)
        assert body["items"][4]["instructions"] == WORDS
        assert body["items"][0]["description"]

    def test_in_pages(self, as_user: Any, owner: User, template: SummaryTemplate) -> None:
        client = as_user(owner)
        assert names(client, page_size=3, page=2) == ["action_items", "Customers"]
        assert names(client, page=9) == []

    def test_one(self, as_user: Any, owner: User, template: SummaryTemplate) -> None:
        client = as_user(owner)
        assert client.get(one(template)).json()["name"] == "Customers"
        assert client.get(f"{URL}/bullets").json()["built_in"] is True
        assert client.get(f"{URL}/poem").status_code == 404

    def test_of_another_company_does_not_exist(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        client = as_user(outsider)
        assert names(client) == BUILT_IN
        answers = [
            client.get(one(template)),
            client.patch(one(template), {"name": "x"}),
            client.delete(one(template)),
        ]
        assert [answer.status_code for answer in answers] == [404] * 3

    def test_machines_have_none(self, as_user: Any, worker_account: User) -> None:
        assert as_user(worker_account).get(URL).status_code == 403

    def test_takes_as_many_queries_for_thirty_as_for_one(
        self, as_user: Any, owner: User, template: SummaryTemplate, queries: Any
    ) -> None:
        client = as_user(owner)
        few = queries(lambda: client.get(URL, {"page_size": 100}))
        for number in range(30):
            SummaryTemplate.objects.create(company=owner.company, name=f"T{number}")
        assert queries(lambda: client.get(URL, {"page_size": 100})) == few


class TestWrite:
    def test_by_the_admin(self, as_user: Any, admin: User) -> None:
        client = as_user(admin)
        response = client.post(URL, {"name": "Risks", "instructions": "Only risks."})
        assert response.status_code == 201
        body = response.json()
        assert (body["name"], body["built_in"]) == ("Risks", False)
        assert body["company_id"] == str(admin.company_id)
        where = f"{URL}/{body['id']}"
        assert client.patch(where, {"description": "Short."}).json() == client.get(where).json()
        assert client.get(where).json()["description"] == "Short."
        assert client.put(where, {"name": "Dangers"}).json()["instructions"] == "Only risks."
        assert client.delete(where).status_code == 204
        assert not SummaryTemplate.objects.exists()

    def test_not_by_an_agent(self, as_user: Any, owner: User, template: SummaryTemplate) -> None:
        client = as_user(owner)
        answers = [
            client.post(URL, {"name": "x", "instructions": "y"}),
            client.patch(one(template), {"name": "x"}),
            client.delete(one(template)),
            client.delete(f"{URL}/bullets"),
        ]
        assert [answer.status_code for answer in answers] == [403] * 4

    @pytest.mark.parametrize("method", ["patch", "put", "delete"])
    def test_not_of_a_built_in_one(self, as_user: Any, admin: User, method: str) -> None:
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
            ({"name": str(SOME_ID), "instructions": "x"}, "name", "invalid"),
            ({"name": SOME_ID.hex.upper(), "instructions": "x"}, "name", "invalid"),
            (
                {"name": "x", "instructions": "x" * (MAX_INSTRUCTIONS_CHARS + 1)},
                "instructions",
                "max_length",
            ),
            ({"name": "x", "instructions": "x", "built_in": True, "by": 1}, "by", "unknown_field"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_bad_input(
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

    def test_a_name_is_taken_once_in_a_company(
        self, as_user: Any, admin: User, template: SummaryTemplate
    ) -> None:
        response = as_user(admin).post(URL, {"name": "customers", "instructions": "x"})
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("name", "unique")]

    @pytest.mark.parametrize("name", ABROAD)
    def test_by_the_databases_notion_of_case(self, as_user: Any, admin: User, name: str) -> None:
        client, body = as_user(admin), {"name": name, "instructions": "x"}
        assert client.post(URL, body).status_code == 201
        response = client.post(URL, body | {"name": lowered(name)})
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("name", "unique")]

    def test_two_companies_may_choose_the_same_name(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        body = {"name": "Customers", "instructions": "x"}
        assert as_user(outsider).post(URL, body).status_code == 201


class TestUse:
    @pytest.mark.parametrize("name", ABROAD)
    def test_in_any_case(self, as_user: Any, owner: User, name: str) -> None:
        SummaryTemplate.objects.create(company=owner.company, name=name)
        for chosen in (name, lowered(name)):
            sent = {"text": "A pump.", "template": chosen}
            assert as_user(owner).post("/api/v1/summaries", sent).json()["template"] == name

    @pytest.mark.parametrize("by", ["name", "id"])
    def test_by_name_and_id(
        self,
        as_user: Any,
        owner: User,
        template: SummaryTemplate,
        provider: FakeProvider,
        run: Any,
        by: str,
    ) -> None:
        chosen = "CUSTOMERS" if by == "name" else str(template.pk)
        body = as_user(owner).post("/api/v1/summaries", {"text": "A pump.", "template": chosen})
        assert body.json()["template"] == "Customers"
        run(body.json()["id"])
        assert WORDS in provider.requests[0].system

    def test_an_id_is_no_name(self, as_user: Any, owner: User, template: SummaryTemplate) -> None:
        """Though a template had it for one before that was refused."""
        SummaryTemplate.objects.create(
            pk=UUID(int=2**128 - 1), company=owner.company, name=str(template.pk)
        )
        sent = {"text": "A pump.", "template": str(template.pk)}
        answer = as_user(owner).post("/api/v1/summaries", sent)
        assert answer.json()["template"] == "Customers"

    def test_of_another_company_is_none(
        self, as_user: Any, outsider: User, template: SummaryTemplate
    ) -> None:
        for chosen in ("Customers", str(template.pk)):
            sent = {"text": "A pump.", "template": chosen}
            assert as_user(outsider).post("/api/v1/summaries", sent).status_code == 400

    def test_a_summary_keeps_the_words_of_a_deleted_one(
        self, as_user: Any, admin: User, template: SummaryTemplate, provider: FakeProvider, run: Any
    ) -> None:
        client = as_user(admin)
        sent = {"text": "A pump.", "template": "Customers"}
        asked = client.post("/api/v1/summaries", sent).json()["id"]
        assert client.delete(one(template)).status_code == 204
        run(asked)
        assert WORDS in provider.requests[0].system
        assert client.get(f"/api/v1/summaries/{asked}").json()["template"] == "Customers"
        assert Summary.objects.get().instructions == WORDS
