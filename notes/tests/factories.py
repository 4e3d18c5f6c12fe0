from itertools import count
from typing import Any

import factory

from accounts.tests.factories import UserFactory
from notes.models import Note, Summary, SummarySource
from notes.summary_job import measured

_numbers = count()


class NoteFactory(factory.django.DjangoModelFactory):
    """A note and its queued summary, without a message to any worker."""

    class Meta:
        model = Note
        skip_postgeneration_save = True

    user = factory.SubFactory(UserFactory)
    company = factory.SelfAttribute("user.company")
    raw_text = factory.Sequence(lambda n: f"This is the text of note {n}.")
    job = factory.RelatedFactory(
        "notes.tests.factories.SummaryFactory", factory_related_name="note"
    )


class SummaryFactory(factory.django.DjangoModelFactory):
    """The own summary of a note."""

    class Meta:
        model = Summary

    note = factory.SubFactory(NoteFactory, job=None)
    own_note = factory.SelfAttribute("note")
    user = factory.SelfAttribute("note.user")
    company = factory.SelfAttribute("note.company")
    text_length = factory.LazyAttribute(lambda made: len(made.note.raw_text))
    max_words = factory.LazyAttribute(lambda made: measured(made.note.raw_text)["max_words"])


class TextSummaryFactory(factory.django.DjangoModelFactory):
    """A queued summary of a `text` that was sent to `/summaries`, without a message."""

    class Meta:
        model = Summary

    class Params:
        text = ""

    user = factory.SubFactory(UserFactory)
    company = factory.SelfAttribute("user.company")
    text_length = factory.LazyAttribute(lambda made: len(made.text))
    max_words = 20

    @classmethod
    def create(cls, **given: Any) -> Summary:
        text = given.setdefault("text", f"This is text {next(_numbers)}. It is short.")
        summary = super().create(**given)
        SummarySource.objects.create(company=summary.company, summary=summary, text=text)
        return summary
