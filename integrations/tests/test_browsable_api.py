import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from accounts.models import User
from common.events.kinds import event_types
from notes.tests.factories import NoteFactory

pytestmark = pytest.mark.django_db


def test_the_page_of_a_row_follows_its_events(owner: User) -> None:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(owner)
    note = NoteFactory(user=owner, company=owner.company)
    page = client.get(f"/api/v1/notes/{note.pk}").content.decode()
    match = re.search(r'data-event-types="([^"]+)"', page)
    assert match is not None
    assert {"note.created", "note.updated"} <= set(match[1].split()) <= set(event_types())
    for name in ("bureau/live.js", "bureau/browsable.js"):
        assert name in page
        assert finders.find(name)
    assert "data-event-types" not in client.get("/api/v1/notes").content.decode()
