from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import User
from common.events import Audience
from common.events.kinds import event_types
from common.events.models import ActorType, Event
from common.events.type_patterns import matches
from common.events.visibility import Visibility

pytestmark = pytest.mark.django_db


def test_one_event_and_a_query_are_judged_alike(
    owner: User,
    colleague: User,
    worker_account: User,
    admin: User,
    outsider: User,
    superuser: User,
) -> None:
    users = [owner, colleague, worker_account, admin, outsider, superuser]
    companies = [owner.company_id, outsider.company_id, None]
    owners = [*(user.pk for user in users), uuid4(), None]
    events = Event.objects.bulk_create(
        Event(
            action="note.created",
            company_id=company_id,
            audience=audience,
            owner_id=owner_id,
            actor_type=ActorType.SYSTEM,
        )
        for company_id, audience, owner_id in product(companies, Audience, owners)
    )
    for user in users:
        seen = set(Event.objects.visible_to(user).values_list("pk", flat=True))
        visibility = Visibility.of(user)
        assert seen == {event.pk for event in events if visibility.includes(event)}
    assert not Event.objects.visible_to(AnonymousUser()).exists()


@pytest.mark.parametrize(
    ("user_name", "seen"),
    [
        ("owner", {"company", "people", "owner"}),
        ("colleague", {"company", "people"}),
        ("worker_account", {"company"}),
        ("admin", {"company", "people", "owner", "admins"}),
        ("outsider", set()),
        ("superuser", {"company", "people", "owner", "admins"}),
    ],
)
def test_the_audience_of_an_event_sees_it(
    request: Any, owner: User, user_name: str, seen: set[str]
) -> None:
    visibility = Visibility.of(request.getfixturevalue(user_name))
    events = [
        Event(company_id=owner.company_id, audience=audience, owner_id=owner.pk)
        for audience in Audience
    ]
    assert {event.audience for event in events if visibility.includes(event)} == seen


@pytest.mark.parametrize(
    "patterns", [["*"], ["note.*"], ["note.created"], ["note.*", "user.created"], ["no.*"], []]
)
def test_types_of_one_event_and_of_a_query_are_matched_alike(patterns: list[str]) -> None:
    Event.objects.bulk_create(
        Event(action=name, audience=Audience.COMPANY, actor_type=ActorType.SYSTEM)
        for name in event_types()
    )
    found = Event.objects.of_types(patterns).values_list("action", flat=True)
    assert set(found) == {name for name in event_types() if matches(name, patterns)}
    assert ("note.created" in set(found)) == (patterns not in (["no.*"], []))
