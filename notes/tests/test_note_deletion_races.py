"""A note that is deleted while somebody else does something to it: one wins, nobody fails."""

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


def summarize_again(client: Any, note: Note) -> int:
    return client.post(f"{URL}/{note.pk}/summarize").status_code


def summarize_besides(client: Any, note: Note) -> int:
    return client.post("/api/v1/summaries", {"note_id": str(note.pk)}).status_code


def make_summary(client: Any, note: Note) -> int:
    runner.run(Summary, note.own_summary.pk)
    return 200


def delete(client: Any, note: Note) -> int:
    return client.delete(f"{URL}/{note.pk}").status_code


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "act",
    [change_title, change_text, summarize_again, summarize_besides, make_summary, delete],
    ids=lambda act: act.__name__,
)
def test_one_wins_and_nobody_fails(
    as_user: Any, owner: User, act: Callable[[Any, Note], int], settings: Any
) -> None:
    settings.RATE_LIMIT_PER_MINUTE = settings.RATE_LIMIT_PER_HOUR = "off"
    gone = 400 if act is summarize_besides else 404  # its `note_id` names no row
    for _ in range(ROUNDS):
        note, start = NoteFactory(user=owner), threading.Barrier(2)

        def at_once(act: Callable[[Any, Note], int], note: Note = note, start: Any = start) -> int:
            try:
                client = as_user(owner)
                start.wait()
                return act(client, note)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            acted, deleted = threads.map(at_once, (act, delete))
        assert acted in {200, 202, 204, 404, gone}
        assert deleted in ({204, 404} if act is delete else {204})
        assert not Note.objects.exists()
        assert not Summary.objects.exists()
