from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from common.ids import uuid7
from common.jobs import runner
from common.jobs.models import JobStatus
from notes.models import MAX_NOTE_CHARS, Note, Summary
from notes.tests.factories import NoteFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/notes"
TEXT = "The pump failed on Monday. It was replaced on Tuesday. It has run well since."


@pytest.fixture
def note(owner: User) -> Note:
    return NoteFactory(user=owner, title="Pump", raw_text=TEXT)


def summarise(note: Note) -> None:
    runner.run(Summary, note.own_summary.pk)
    note.own_summary.refresh_from_db()


def one(note: Note, action: str = "") -> str:
    return f"{URL}/{note.pk}{action}"


class TestCreate:
    def test_answers_with_a_queued_note(self, as_user: Any, owner: User) -> None:
        response = as_user(owner).post(URL, {"raw_text": TEXT, "title": "Pump"})
        assert response.status_code == 201
        body = response.json()
        assert (body["status"], body["summary"], body["attempts"]) == ("queued", "", 0)
        assert (body["raw_text"], body["title"]) == (TEXT, "Pump")
        assert (body["user_id"], body["company_id"]) == (str(owner.pk), str(owner.company_id))
        assert {"created_at", "updated_at", "started_at", "finished_at", "error"} <= set(body)

    def test_the_text_is_kept_to_the_letter(self, as_user: Any, owner: User) -> None:
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
    def test_bad_input(self, as_user: Any, owner: User, body: dict, field: str, code: str) -> None:
        response = as_user(owner).post(URL, body)
        assert response.status_code == 400
        assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
        assert not Note.objects.exists()

    def test_the_longest_text_is_taken(self, as_user: Any, owner: User) -> None:
        assert as_user(owner).post(URL, {"raw_text": "ß" * MAX_NOTE_CHARS}).status_code == 201

    def test_read_only_fields_may_be_sent_back(
        self, as_user: Any, owner: User, outsider: User
    ) -> None:
        sent = {"raw_text": TEXT, "user_id": str(outsider.pk), "company_id": "x", "status": "?"}
        body = as_user(owner).post(URL, sent).json()
        assert (body["user_id"], body["status"]) == (str(owner.pk), "queued")

    def test_worker_may_not(self, as_user: Any, worker_account: User) -> None:
        assert as_user(worker_account).post(URL, {"raw_text": TEXT}).status_code == 403
        assert as_user(worker_account).get(URL).status_code == 403


class TestVisibility:
    """Agents see their own, an admin the company's, a superuser all, a stranger nothing."""

    def verbs(self, client: APIClient, note: Note) -> list[int]:
        return [
            client.get(one(note)).status_code,
            client.patch(one(note), {"title": "x"}).status_code,
            client.put(one(note), {"title": "x"}).status_code,
            client.post(one(note, "/summarize")).status_code,
            client.delete(one(note)).status_code,
        ]

    @pytest.mark.parametrize("who", ["owner", "admin", "superuser"])
    def test_those_who_see_it(
        self, as_user: Any, note: Note, who: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert client.get(URL).json()["total"] == 1
        assert self.verbs(client, note) == [200, 200, 200, 202, 204]

    @pytest.mark.parametrize("who", ["colleague", "outsider", "worker_account"])
    def test_those_for_whom_it_does_not_exist(
        self, as_user: Any, note: Note, who: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert self.verbs(client, note) == [404] * 5
        hidden, missing = client.get(one(note)).json(), client.get(f"{URL}/{uuid7()}").json()
        assert {**hidden, "request_id": 0} == {**missing, "request_id": 0}
        assert Note.objects.filter(title="Pump").exists()

    def test_lists_hold_no_more(
        self, as_user: Any, note: Note, colleague: User, outsider: User
    ) -> None:
        assert as_user(colleague).get(URL).json()["items"] == []
        assert as_user(outsider).get(URL).json()["items"] == []

    def test_nobody(self, api: APIClient, note: Note) -> None:
        assert self.verbs(api, note) == [401] * 5


class TestSummary:
    def test_comes_back_made_of_the_text(self, as_user: Any, owner: User, note: Note) -> None:
        summarise(note)
        body = as_user(owner).get(one(note)).json()
        assert (body["status"], body["attempts"], body["error"]) == ("completed", 1, "")
        assert body["summary"]
        assert len(body["summary"]) <= len(TEXT)
        assert body["model"].startswith("bureau-extractive")
        assert body["started_at"] <= body["finished_at"]

    def test_again(self, as_user: Any, owner: User, note: Note) -> None:
        summarise(note)
        before = as_user(owner).get(one(note)).json()
        response = as_user(owner).post(one(note, "/summarize"))
        assert response.status_code == 202
        assert (response.json()["status"], response.json()["attempts"]) == ("queued", 0)
        assert response.json()["summary"] == before["summary"]

    def test_is_told_by_the_time_of_the_last_change(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        client = as_user(owner)
        others = NoteFactory.create_batch(2, user=owner)
        summarise(note)
        ended = client.get(one(note)).json()["updated_at"]
        assert ended > client.get(one(others[1])).json()["updated_at"]
        newest = client.get(URL, {"ordering": "-updated_at"}).json()["items"][0]
        assert newest["id"] == str(note.pk)
        queued = client.post(one(note, "/summarize")).json()["updated_at"]
        assert queued > ended
        Summary.objects.filter(pk=note.own_summary.pk).cancel_all()
        assert client.get(one(note)).json()["updated_at"] > queued
        assert Note.objects.filter(updated_at__gt=queued).get() == note

    def test_an_edit_locks_the_rows_in_the_order_of_the_summarys_end(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        with CaptureQueriesContext(connection) as captured:
            as_user(owner).patch(one(note), {"raw_text": "All is new. Really all."})
        written = [query["sql"].split()[1] for query in captured if 'UPDATE "notes' in query["sql"]]
        assert written == ['"notes_summary"', '"notes_note"']


class TestUpdate:
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_another_text_queues_a_new_summary(
        self, as_user: Any, owner: User, note: Note, method: str
    ) -> None:
        summarise(note)
        old = note.own_summary.summary
        client = as_user(owner)
        body = getattr(client, method)(one(note), {"raw_text": "All is new. Really all."}).json()
        assert (body["status"], body["summary"], body["title"]) == ("queued", old, "Pump")
        summarise(note)
        assert client.get(one(note)).json()["summary"] != old

    @pytest.mark.parametrize("body", [{"title": "New"}, {"raw_text": TEXT}, {}], ids=str)
    def test_the_same_text_queues_nothing(
        self, as_user: Any, owner: User, note: Note, body: dict
    ) -> None:
        summarise(note)
        assert as_user(owner).patch(one(note), body).json()["status"] == "completed"

    def test_a_run_under_way_does_not_write_over_the_new_text(
        self, as_user: Any, owner: User, note: Note
    ) -> None:
        run = Summary.objects.claim(note.own_summary.pk)
        as_user(owner).patch(one(note), {"raw_text": "New text."})
        assert run.finish(summary="Of the old text.") is False
        assert as_user(owner).get(one(note)).json()["status"] == "queued"

    def test_an_admin_edits_and_the_owner_keeps_it(
        self, as_user: Any, admin: User, note: Note
    ) -> None:
        body = as_user(admin).patch(one(note), {"title": "By admin"}).json()
        assert (body["title"], body["user_id"]) == ("By admin", str(note.user_id))


class TestDelete:
    def test_takes_the_summary_along(self, as_user: Any, owner: User, note: Note) -> None:
        assert as_user(owner).delete(one(note)).status_code == 204
        assert as_user(owner).get(one(note)).status_code == 404
        assert not Summary.objects.exists()


class TestList:
    def test_newest_first_in_pages(self, as_user: Any, owner: User) -> None:
        notes = NoteFactory.create_batch(12, user=owner)
        body = as_user(owner).get(URL, {"page_size": 5, "page": 3}).json()
        assert [item["id"] for item in body["items"]] == [str(n.pk) for n in notes[1::-1]]
        assert (body["total"], body["total_pages"]) == (12, 3)

    @pytest.mark.parametrize(("ordering", "first"), [("title", "a"), ("-title", "c")])
    def test_ordering(self, as_user: Any, owner: User, ordering: str, first: str) -> None:
        for title in "bca":
            NoteFactory(user=owner, title=title)
        body = as_user(owner).get(URL, {"ordering": ordering}).json()
        assert body["items"][0]["title"] == first

    def test_by_status(self, as_user: Any, owner: User, note: Note) -> None:
        summarise(NoteFactory(user=owner))
        client = as_user(owner)
        assert client.get(URL, {"status": "completed"}).json()["total"] == 1
        assert client.get(URL, {"status": "queued"}).json()["items"][0]["id"] == str(note.pk)
        assert client.get(URL, {"status": "failed"}).json()["total"] == 0

    @pytest.mark.parametrize(("words", "found"), [("PUMP", 1), ("tuesday", 1), ("%", 0), ("_", 0)])
    def test_search(self, as_user: Any, owner: User, note: Note, words: str, found: int) -> None:
        assert as_user(owner).get(URL, {"search": words}).json()["total"] == found

    def test_by_time(self, as_user: Any, owner: User, note: Note) -> None:
        old = NoteFactory(user=owner)
        Note.objects.filter(pk=old.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
        client = as_user(owner)
        day = "2020-06-01T00:00:00Z"
        assert client.get(URL, {"created_before": day}).json()["items"][0]["id"] == str(old.pk)
        assert client.get(URL, {"created_after": day}).json()["items"][0]["id"] == str(note.pk)

    @pytest.mark.parametrize("zone", ["-19:48", "+23:59"])
    def test_by_a_time_in_a_zone_that_there_is_not(
        self, as_user: Any, owner: User, note: Note, zone: str
    ) -> None:
        query = {"created_after": f"2020-06-01T00:00:00{zone}"}
        assert as_user(owner).get(URL, query).json()["total"] == 1

    def test_by_person_for_the_admin(
        self, as_user: Any, admin: User, colleague: User, note: Note
    ) -> None:
        theirs = NoteFactory(user=colleague)
        body = as_user(admin).get(URL, {"user_id": str(colleague.pk)}).json()
        assert [item["id"] for item in body["items"]] == [str(theirs.pk)]

    def test_by_person_shows_an_agent_no_more(
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
    def test_bad_value_is_named(self, as_user: Any, owner: User, query: dict) -> None:
        response = as_user(owner).get(URL, query)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == set(query)

    def test_takes_as_many_queries_for_thirty_as_for_one(
        self, as_user: Any, admin: User, owner: User, queries: Any
    ) -> None:
        client = as_user(admin)
        NoteFactory(user=owner)
        few = queries(lambda: client.get(URL, {"page_size": 100}))
        NoteFactory.create_batch(30, user=owner)
        assert queries(lambda: client.get(URL, {"page_size": 100})) == few


class TestOddText:
    """Whatever the text, it ends completed or failed with a reason, within seconds."""

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
    def test_ends(self, owner: User, text: str) -> None:
        note = NoteFactory(user=owner, raw_text=text)
        start = datetime.now(UTC)
        summarise(note)
        assert datetime.now(UTC) - start < timedelta(seconds=20)
        assert note.own_summary.status in (JobStatus.COMPLETED, JobStatus.FAILED)
        assert bool(note.own_summary.error) == (note.own_summary.status == JobStatus.FAILED)
        assert len(note.own_summary.summary) <= len(text)
