from itertools import count
from typing import Any

import factory

from accounts.tests.factories import UserFactory
from notes.models import Note, Summary, SummarySource
from notes.summary_options import compute_default_max_words

_numbers = count()


class NoteFactory(factory.django.DjangoModelFactory):
    """A note with its own queued summary, which is not published."""

    class Meta:
        model = Note
        skip_postgeneration_save = True

    user = factory.SubFactory(UserFactory)
    company = factory.SelfAttribute("user.company")
    raw_text = factory.Sequence(lambda n: f"This is the text of note {n}.")
    own_summary = factory.RelatedFactory(
        "notes.tests.factories.OwnSummaryFactory", factory_related_name="note"
    )


class OwnSummaryFactory(factory.django.DjangoModelFactory):
    """A note's own queued summary, which is not published."""

    class Meta:
        model = Summary

    note = factory.SubFactory(NoteFactory, own_summary=None)
    own_note = factory.SelfAttribute("note")
    user = factory.SelfAttribute("note.user")
    company = factory.SelfAttribute("note.company")
    text_length = factory.LazyAttribute(lambda summary: len(summary.note.raw_text))
    max_words = factory.LazyAttribute(
        lambda summary: compute_default_max_words(summary.note.raw_text)
    )


class TextSummaryFactory(factory.django.DjangoModelFactory):
    """A queued summary of a `text` as if sent to `/summaries`, which is not published."""

    class Meta:
        model = Summary

    class Params:
        text = ""

    user = factory.SubFactory(UserFactory)
    company = factory.SelfAttribute("user.company")
    text_length = factory.LazyAttribute(lambda summary: len(summary.text))
    max_words = 20

    @classmethod
    def create(cls, **kwargs: Any) -> Summary:
        text = kwargs.setdefault("text", f"This is text {next(_numbers)}. It is short.")
        summary = super().create(**kwargs)
        SummarySource.objects.create(company=summary.company, summary=summary, text=text)
        return summary
