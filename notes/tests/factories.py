import factory

from accounts.tests.factories import UserFactory
from notes.models import Note, Summary


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
    job_of = factory.SelfAttribute("note")
    user = factory.SelfAttribute("note.user")
    company = factory.SelfAttribute("note.company")
