"""The demo company's note and template."""

from accounts.models import User
from notes import services
from notes.models import Note, SummaryTemplate

NOTE_TITLE = "Monday's stand-up"
NOTE_TEXT = """\
Ann: Good morning everybody. The new cooling unit arrived on Friday and it works, but it is louder \
than the old one.
Bob: How much louder? The offices are next door.
Ann: About ten decibels. The supplier offers a quieter fan for 120 euros, with two weeks' delivery.
Bob: Then let us order the fan today and move the unit away from the wall until it is here.
Ann: I will order it this morning. Who tells the people next door?
Bob: I will. And the yearly inspection is on 14 December, so everything has to be in place by then.
Ann: Good. One more thing: the sensor in hall two lost its readings for three hours on Saturday. \
The battery was empty. I have put a reminder into the calendar to change all batteries in March.
"""
TEMPLATE_NAME = "Customers"
TEMPLATE_INSTRUCTIONS = "Say what it means for our customers, and what we should tell them."


def seed_notes(author: User) -> None:
    """Create the template and the note unless they exist."""
    templates = SummaryTemplate.objects.filter(company=author.company)
    if not templates.with_name(TEMPLATE_NAME).exists():
        services.create_template(by=author, name=TEMPLATE_NAME, instructions=TEMPLATE_INSTRUCTIONS)
    if not Note.objects.filter(user=author, title=NOTE_TITLE).exists():
        services.create_note(by=author, title=NOTE_TITLE, raw_text=NOTE_TEXT)
