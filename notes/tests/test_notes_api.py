from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from common.ids import uuid7
from common.jobs import runner
from common.jobs.status import JobStatus
from notes.models import MAX_NOTE_CHARS, Note, Summary
from notes.tests.factories import NoteFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/notes"
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.fixture
def note(owner: User) -> Note:
    return NoteFactory(user=owner, title="Pump", raw_text=TEXT)


def run_own_summary(note: Note) -> None:
    runner.run(Summary, note.own_summary.pk)
    note.own_summary.refresh_from_db()


def detail_url(note: Note, action: str = "") -> str:
    return f"{URL}/{note.pk}{action}"


class TestCreate:
    def test_returns_the_note_with_a_queued_summary(self, as_user: Any, owner: User) -> None:
        response = as_user(owner).post(URL, {"raw_text": TEXT, "title": "Pump"})
        assert response.status_code == 201
        body = response.json()
        assert (body["status"], body["summary"], body["attempts"]) == ("queued", "", 0)
        assert (body["raw_text"], body["title"]) == (TEXT, "Pump")
        assert (body["user_id"], body["company_id"]) == (str(owner.pk), str(owner.company_id))
        assert {"created_at", "updated_at", "started_at", "finished_at", "error"} <= set(body)

    def test_the_text_is_stored_unchanged(self, as_user: Any, owner: User) -> None:
        text = "  Übung\r\n\tשלום 🙂\u200d  "
        assert as_user(owner).post(URL, {"raw_text": text}).json()["raw_text"] == text

    @pytest.mark.parametrize(
        ("body", "field", "code"),
        [
            ({}, "raw_text", "required"),
            ({"raw_text": ""}, "raw_text", "blank"),
            ({"raw_text": " \n"}, "raw_text", "blank"),
            ({"raw_text": None}, "raw_text", "null"),
            ({"raw_text": ["x"]}, "raw_text", "invalid"),
            ({"raw_text": "x" * (MAX_NOTE_CHARS + 1)}, "raw_text", "max_length"),
            ({"raw_text": 5}, "raw_text", "invalid"),
            ({"raw_text": "x", "title": 5}, "title", "invalid"),
            ({"raw_text": "x", "title": "x" * 201}, "title", "max_length"),
            ({"raw_text": "x", "text": "y"}, "text", "unknown_field"),
        ],
        ids=str,
    )
    def test_an_invalid_body_is_refused_with_its_field_and_code(
        self, as_user: Any, owner: User, body: dict, field: str, code: str
    ) -> None:
        response = as_user(owner).post(URL, body)
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
        assert not Note.objects.exists()

    def test_a_text_of_the_maximum_length_is_accepted(self, as_user: Any, owner: User) -> None:
        assert as_user(owner).post(URL, {"raw_text": "ß" * MAX_NOTE_CHARS}).status_code == 201

    def test_a_worker_account_is_forbidden(self, as_user: Any, worker_account: User) -> None:
        assert as_user(worker_account).post(URL, {"raw_text": TEXT}).status_code == 403
        assert as_user(worker_account).get(URL).status_code == 403


class TestVisibility:
    """Agents see their own notes, admins their company's, superusers all."""

    def statuses_of_all_verbs(self, client: APIClient, note: Note) -> list[int]:
        return [
            client.get(detail_url(note)).status_code,
            client.patch(detail_url(note), {"title": "x"}).status_code,
            client.put(detail_url(note), {"title": "x"}).status_code,
            client.post(detail_url(note, "/summarize")).status_code,
            client.delete(detail_url(note)).status_code,
        ]

    @pytest.mark.parametrize("user_name", ["owner", "admin", "superuser"])
    def test_users_who_see_the_note_can_use_every_verb(
        self, as_user: Any, note: Note, user_name: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(user_name))
        assert client.get(URL).json()["total"] == 1
        assert self.statuses_of_all_verbs(client, note) == [200, 200, 200, 202, 204]

    @pytest.mark.parametrize("user_name", ["colleague", "outsider", "worker_account"])
    def test_the_note_does_not_exist_for_other_users(
        self, as_user: Any, note: Note, user_name: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(user_name))
        assert self.statuses_of_all_verbs(client, note) == [404] * 5
        hidden, missing = client.get(detail_url(note)).json(), client.get(f"{URL}/{uuid7()}").json()
        assert {**hidden, "request_id": 0} == {**missing, "request_id": 0}
        assert Note.objects.filter(title="Pump").exists()

    def test_lists_of_other_users_do_not_contain_it(
        self, as_user: Any, note: Note, colleague: User, outsider: User
    ) -> None:
        assert as_user(colleague).get(URL).json()["items"] == []
        assert as_user(outsider).get(URL).json()["items"] == []

    def test_anonymous_requests_get_401(self, api: APIClient, note: Note) -> None:
        assert self.statuses_of_all_verbs(api, note) == [401] * 5


class TestSummary:
    def test_is_made_from_the_text(self, as_user: Any, owner: User, note: Note) -> None:
        run_own_summary(note)
        body = as_user(owner).get(detail_url(note)).json()
        assert (body["status"], body["attempts"], body["error"]) == ("completed", 1, "")
        assert body["summary"]
        assert len(body["summary"]) <= len(TEXT)
        assert body["model"].startswith("bureau-extractive")
        assert body["started_at"] <= body["finished_at"]

    def test_a_requeued_summary_keeps_the_old_text_until_its_end(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        run_own_summary(note)
        before = as_user(owner).get(detail_url(note)).json()
        response = as_user(owner).post(detail_url(note, "/summarize"))
        assert response.status_code == 202
        assert (response.json()["status"], response.json()["attempts"]) == ("queued", 0)
        assert response.json()["summary"] == before["summary"]

    def test_every_change_of_it_updates_the_notes_updated_at(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        client = as_user(owner)
        others = NoteFactory.create_batch(2, user=owner)
        run_own_summary(note)
        ended = client.get(detail_url(note)).json()["updated_at"]
        assert ended > client.get(detail_url(others[1])).json()["updated_at"]
        newest = client.get(URL, {"ordering": "-updated_at"}).json()["items"][0]
        assert newest["id"] == str(note.pk)
        queued = client.post(detail_url(note, "/summarize")).json()["updated_at"]
        assert queued > ended
        Summary.objects.filter(pk=note.own_summary.pk).cancel_all()
        assert client.get(detail_url(note)).json()["updated_at"] > queued
        assert Note.objects.filter(updated_at__gt=queued).get() == note

    def test_an_edit_writes_the_summary_before_its_note(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        with CaptureQueriesContext(connection) as captured:
            as_user(owner).patch(detail_url(note), {"raw_text": "All is new. Really all."})
        written_tables = [
            query["sql"].split()[1] for query in captured if 'UPDATE "notes' in query["sql"]
        ]
        assert written_tables == ['"notes_summary"', '"notes_note"']


class TestUpdate:
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_a_new_text_requeues_the_summary(
        self, as_user: Any, owner: User, note: Note, method: str
    ) -> None:
        run_own_summary(note)
        old = note.own_summary.summary
        client = as_user(owner)
        body = getattr(client, method)(
            detail_url(note), {"raw_text": "All is new. Really all."}
        ).json()
        assert (body["status"], body["summary"], body["title"]) == ("queued", old, "Pump")
        run_own_summary(note)
        assert client.get(detail_url(note)).json()["summary"] != old

    @pytest.mark.parametrize("body", [{"title": "New"}, {"raw_text": TEXT}, {}], ids=str)
    def test_an_unchanged_text_requeues_nothing(
        self, as_user: Any, owner: User, note: Note, body: dict
    ) -> None:
        run_own_summary(note)
        assert as_user(owner).patch(detail_url(note), body).json()["status"] == "completed"

    def test_a_run_that_started_before_the_edit_cannot_store_its_summary(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        run = Summary.objects.claim(note.own_summary.pk)
        as_user(owner).patch(detail_url(note), {"raw_text": "New text."})
        assert run.finish(summary="Of the old text.") is False
        assert as_user(owner).get(detail_url(note)).json()["status"] == "queued"

    def test_an_edit_by_an_admin_does_not_change_the_owner(
        self, as_user: Any, admin: User, note: Note
    ) -> None:
        body = as_user(admin).patch(detail_url(note), {"title": "By admin"}).json()
        assert (body["title"], body["user_id"]) == ("By admin", str(note.user_id))


class TestDelete:
    def test_deletes_the_summary_too(self, as_user: Any, owner: User, note: Note) -> None:
        assert as_user(owner).delete(detail_url(note)).status_code == 204
        assert as_user(owner).get(detail_url(note)).status_code == 404
        assert not Summary.objects.exists()


class TestList:
    def test_returns_pages_with_the_newest_note_first(self, as_user: Any, owner: User) -> None:
        notes = NoteFactory.create_batch(12, user=owner)
        body = as_user(owner).get(URL, {"page_size": 5, "page": 3}).json()
        assert [item["id"] for item in body["items"]] == [str(n.pk) for n in notes[1::-1]]
        assert (body["total"], body["total_pages"]) == (12, 3)

    @pytest.mark.parametrize(("ordering", "first"), [("title", "a"), ("-title", "c")])
    def test_orders_by_title(self, as_user: Any, owner: User, ordering: str, first: str) -> None:
        for title in "bca":
            NoteFactory(user=owner, title=title)
        body = as_user(owner).get(URL, {"ordering": ordering}).json()
        assert body["items"][0]["title"] == first

    def test_filters_by_status(self, as_user: Any, owner: User, note: Note) -> None:
        run_own_summary(NoteFactory(user=owner))
        client = as_user(owner)
        assert client.get(URL, {"status": "completed"}).json()["total"] == 1
        assert client.get(URL, {"status": "queued"}).json()["items"][0]["id"] == str(note.pk)
        assert client.get(URL, {"status": "failed"}).json()["total"] == 0

    @pytest.mark.parametrize(("search", "total"), [("PUMP", 1), ("tuesday", 1), ("%", 0), ("_", 0)])
    def test_search_matches_text_without_wildcards(
        self, as_user: Any, owner: User, note: Note, search: str, total: int
    ) -> None:
        assert as_user(owner).get(URL, {"search": search}).json()["total"] == total

    def test_filters_by_time_of_creation(self, as_user: Any, owner: User, note: Note) -> None:
        old = NoteFactory(user=owner)
        Note.objects.filter(pk=old.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
        client = as_user(owner)
        day = "2020-06-01T00:00:00Z"
        assert client.get(URL, {"created_before": day}).json()["items"][0]["id"] == str(old.pk)
        assert client.get(URL, {"created_after": day}).json()["items"][0]["id"] == str(note.pk)

    @pytest.mark.parametrize("zone", ["-19:48", "+23:59"])
    def test_accepts_a_time_with_an_unusual_utc_offset(
        self, as_user: Any, owner: User, note: Note, zone: str
    ) -> None:
        query = {"created_after": f"2020-06-01T00:00:00{zone}"}
        assert as_user(owner).get(URL, query).json()["total"] == 1

    def test_an_admin_filters_by_user(
        self, as_user: Any, admin: User, colleague: User, note: Note
    ) -> None:
        theirs = NoteFactory(user=colleague)
        body = as_user(admin).get(URL, {"user_id": str(colleague.pk)}).json()
        assert [item["id"] for item in body["items"]] == [str(theirs.pk)]

    def test_an_agent_cannot_list_another_users_notes(
        self, as_user: Any, colleague: User, note: Note
    ) -> None:
        assert as_user(colleague).get(URL, {"user_id": str(note.user_id)}).json()["total"] == 0

    @pytest.mark.parametrize(
        "query",
        [
            {"status": "done"},
            {"created_after": "yesterday"},
            {"created_before": "2020-13-01T00:00:00Z"},
            {"created_after": "99999-01-01T00:00:00Z"},
            {"created_before": "0001-01-01T00:00:00+14:00"},
            {"user_id": "1"},
            {"status": "done", "user_id": "1", "ordering": "colour"},
        ],
        ids=str,
    )
    def test_an_invalid_filter_is_named(self, as_user: Any, owner: User, query: dict) -> None:
        response = as_user(owner).get(URL, query)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == set(query)

    def test_the_number_of_queries_does_not_depend_on_the_number_of_notes(
        self, as_user: Any, admin: User, owner: User, count_queries: Any
    ) -> None:
        client = as_user(admin)
        NoteFactory(user=owner)
        expected_queries = count_queries(lambda: client.get(URL, {"page_size": 100}))
        NoteFactory.create_batch(30, user=owner)
        assert count_queries(lambda: client.get(URL, {"page_size": 100})) == expected_queries


class TestLongTexts:
    """Lists carry the beginning of a text; no answer has more than 8 MB."""

    @pytest.fixture
    def long_notes(self, owner: User) -> list[Note]:
        """Create 17 notes of the maximum length, 8.5 MB in total."""
        return [
            NoteFactory(user=owner, raw_text=f"{n:02} " + "ä" + "x" * (MAX_NOTE_CHARS - 4))
            for n in range(17)
        ]

    def test_a_list_has_the_excerpt_and_the_length_instead_of_the_text(
        self, as_user: Any, owner: User
    ) -> None:
        texts = ["Short.", "é" * 299 + "🙂" + "x" * 700, ""]
        notes = [NoteFactory(user=owner, raw_text=text) for text in texts]
        items = as_user(owner).get(URL).json()["items"]
        assert [(i["id"], i["excerpt"], i["text_length"]) for i in reversed(items)] == [
            (str(note.pk), text[:300], len(text)) for note, text in zip(notes, texts, strict=True)
        ]
        assert all("raw_text" not in item for item in items)

    def test_a_row_has_the_text_its_excerpt_and_its_length(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        client = as_user(owner)
        body = client.get(detail_url(note)).json()
        assert (body["raw_text"], body["excerpt"], body["text_length"]) == (TEXT, TEXT, len(TEXT))
        body = client.patch(detail_url(note), {"raw_text": "y" * 400}).json()
        assert (body["excerpt"], body["text_length"]) == ("y" * 300, 400)
        assert client.put(detail_url(note), body | {"title": "Sent back"}).status_code == 200

    def test_a_list_has_the_text_if_fields_names_it(
        self, as_user: Any, owner: User, note: Note, count_queries: Any
    ) -> None:
        client = as_user(owner)
        query = {"fields": "id,raw_text", "page_size": 100}
        assert client.get(URL, query).json()["items"] == [{"id": str(note.pk), "raw_text": TEXT}]
        expected_queries = count_queries(lambda: client.get(URL, query))
        NoteFactory.create_batch(30, user=owner)
        assert count_queries(lambda: client.get(URL, query)) == expected_queries

    @pytest.mark.parametrize("ordering", ["title", "-updated_at", "created_at"])
    def test_the_excerpts_follow_the_order_of_the_list(
        self, as_user: Any, owner: User, ordering: str
    ) -> None:
        for title in "bca":
            NoteFactory(user=owner, title=title, raw_text=f"Text of {title}.")
        items = as_user(owner).get(URL, {"ordering": ordering, "page_size": 2}).json()["items"]
        assert len(items) == 2
        assert all(item["excerpt"] == f"Text of {item['title']}." for item in items)

    def test_a_list_does_not_load_the_texts(
        self, as_user: Any, owner: User, admin: User, long_notes: list[Note]
    ) -> None:
        with CaptureQueriesContext(connection) as captured:
            assert len(as_user(owner).get(URL, {"page_size": 100}).content) < 30_000
            staff = Client()
            User.objects.filter(pk=admin.pk).update(is_staff=True)
            staff.force_login(admin)
            assert staff.get("/admin/notes/note/").status_code == 200
        selects = [query["sql"] for query in captured if '"raw_text"' in query["sql"]]
        assert len(selects) == 2
        for sql in selects:
            assert sql.count('"raw_text"') == sql.count('LEFT("notes_note"."raw_text", 300)')

    @pytest.mark.parametrize("fields", ["raw_text", "id,title,raw_text,summary"])
    def test_a_page_of_more_than_8_mb_is_refused_before_it_is_loaded(
        self, as_user: Any, owner: User, long_notes: list[Note], fields: str
    ) -> None:
        client = as_user(owner)
        with CaptureQueriesContext(connection) as captured:
            response = client.get(URL, {"fields": fields, "page_size": 100})
        assert (response.status_code, response.json()["code"]) == (400, "answer_too_large")
        assert response.json()["detail"] == (
            "The response would have 8.5 MB, but at most 8 MB are sent. Ask for a smaller "
            "`page_size`, or name fewer fields in `fields`."
        )
        assert sum('"raw_text"' in query["sql"] for query in captured) == 1  # for the sum
        response = client.get(URL, {"fields": fields, "page_size": 15})
        assert response.status_code == 200
        assert len(response.content) < 8_000_000

    def test_a_text_that_json_makes_longer_than_8_mb_is_refused(
        self, as_user: Any, owner: User
    ) -> None:
        for _ in range(3):
            NoteFactory(user=owner, raw_text="\x01" * MAX_NOTE_CHARS)
        response = as_user(owner).get(URL, {"fields": "raw_text"})
        assert (response.status_code, response.json()["code"]) == (400, "answer_too_large")
        assert response["Content-Type"] == "application/problem+json"


class TestUnusualText:
    """The job of any text completes, or fails with a reason, within seconds."""

    @pytest.mark.parametrize(
        "text",
        [
            "word " * 80_000,
            "x" * 400_000,
            "no full stop anywhere in this line " * 100,
            "🙂" * 1000,
            "...",
            "\u200b\u200b",
            "שלום עולם. זה מבחן של טקסט מימין לשמאל. " * 50,
            "一二三四五。" * 200,
            "a.\n" * 100_000,
        ],
        ids=lambda text: text[:12],
    )
    def test_its_job_ends_quickly(self, owner: User, text: str) -> None:
        note = NoteFactory(user=owner, raw_text=text)
        start = datetime.now(UTC)
        run_own_summary(note)
        assert datetime.now(UTC) - start < timedelta(seconds=20)
        assert note.own_summary.status in (JobStatus.COMPLETED, JobStatus.FAILED)
        assert bool(note.own_summary.error) == (note.own_summary.status == JobStatus.FAILED)
        assert len(note.own_summary.summary) <= len(text)
