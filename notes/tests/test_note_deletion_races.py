"""Races between the deletion of a note and another action on it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from common.jobs import runner
from notes.models import Note, Summary
from notes.tests.factories import NoteFactory

ROUNDS = 12
URL = "/api/v1/notes"


def change_title(client: Any, note: Note) -> int:
    return client.patch(f"{URL}/{note.pk}", {"title": "Another"}).status_code


def change_text(client: Any, note: Note) -> int:
    return client.patch(f"{URL}/{note.pk}", {"raw_text": "Another text."}).status_code


def requeue_summary(client: Any, note: Note) -> int:
    return client.post(f"{URL}/{note.pk}/summarize").status_code


def create_further_summary(client: Any, note: Note) -> int:
    return client.post("/api/v1/summaries", {"note_id": str(note.pk)}).status_code


def run_summary_job(client: Any, note: Note) -> int:
    runner.run(Summary, note.own_summary.pk)
    return 200


def delete_note(client: Any, note: Note) -> int:
    return client.delete(f"{URL}/{note.pk}").status_code


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "action",
    [
        change_title,
        change_text,
        requeue_summary,
        create_further_summary,
        run_summary_job,
        delete_note,
    ],
    ids=lambda action: action.__name__,
)
def test_a_deletion_and_another_action_at_once_both_get_an_expected_answer(
    as_user: Any, owner: User, action: Callable[[Any, Note], int], settings: Any
) -> None:
    settings.RATE_LIMIT_PER_MINUTE = settings.RATE_LIMIT_PER_HOUR = "off"
    # The `note_id` in a body that matches no row is an invalid value.
    missing_note = 400 if action is create_further_summary else 404
    for _ in range(ROUNDS):
        note, start = NoteFactory(user=owner), threading.Barrier(2)

        def act_at_barrier(
            action: Callable[[Any, Note], int], note: Note = note, start: Any = start
        ) -> int:
            try:
                client = as_user(owner)
                start.wait()
                return action(client, note)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            action_status, deletion_status = threads.map(act_at_barrier, (action, delete_note))
        assert action_status in {200, 202, 204, 404, missing_note}
        assert deletion_status in ({204, 404} if action is delete_note else {204})
        assert not Note.objects.exists()
        assert not Summary.objects.exists()
