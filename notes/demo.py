from accounts.models import User
from notes import services
from notes.models import Note, SummaryTemplate

TITLE = "Monday's stand-up"
TEXT = """\
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


TEMPLATE = "Customers"
INSTRUCTIONS = "Say what it means for our customers, and what we should tell them."


def seed(author: User) -> None:
    SummaryTemplate.objects.get_or_create(
        company=author.company, name=TEMPLATE, defaults={"instructions": INSTRUCTIONS}
    )
    if not Note.objects.filter(user=author, title=TITLE).exists():
        services.create_note(by=author, title=TITLE, raw_text=TEXT)
