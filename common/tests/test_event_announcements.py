import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django_redis import get_redis_connection

from accounts.models import User
from catalog.import_models import ProductImport
from catalog.tests.factories import ProductFactory
from common.events import announce_progress, record, record_all
from common.events.announcements import channel

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def announcements() -> Iterator[Any]:
    with get_redis_connection("default").pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(channel())
        subscription.get_message(timeout=1)
        time.sleep(0.1)  # those of other tests may still be on their way
        while subscription.get_message():
            pass
        yield subscription


def read(subscription: Any, *, seconds: float = 0.3) -> list[Any]:
    """Return the messages that arrive within some time."""
    messages, deadline = [], time.monotonic() + seconds
    while (timeout := deadline - time.monotonic()) > 0:
        if message := subscription.get_message(timeout=timeout):
            messages.append(json.loads(message["data"]))
    return messages


def test_a_commit_is_announced_by_the_types_of_its_rows(announcements: Any, admin: User) -> None:
    with transaction.atomic():
        product = ProductFactory(company=admin.company)
        record("product.created", by=admin, target=product)
        record("user.updated", by=admin, target=admin)
        record_all("product.updated", by=admin, targets=[(product, {})] * 3)
        assert read(announcements) == []
    assert {name for m in read(announcements) for name in m["events"]} == {"product", "user"}


def test_a_rollback_is_not_announced(announcements: Any, admin: User) -> None:
    with transaction.atomic():
        record("user.updated", by=admin, target=admin)
        transaction.set_rollback(True)
    assert read(announcements) == []


def test_progress_says_whose_row_has_changed(announcements: Any, admin: User) -> None:
    product_import = ProductImport(company=admin.company, user=admin)
    announce_progress(product_import)
    (message,) = read(announcements)
    assert message == {
        "events": [],
        "progress": [
            {
                "action": "product_import.progress",
                "target_type": "product_import",
                "target_id": str(product_import.pk),
                "company_id": str(admin.company_id),
                "audience": "admins",
                "owner_id": None,
            }
        ],
    }


def test_many_changes_are_few_messages(announcements: Any, admin: User) -> None:
    for _ in range(50):
        record("user.updated", by=admin, target=admin)
        announce_progress(ProductImport(id=admin.pk, company=admin.company, user=admin))
    messages = read(announcements)
    assert 0 < len(messages) < 50
    assert all(len(message["progress"]) <= 1 for message in messages)


def test_writers_do_not_notice_that_valkey_is_down(
    settings: Any, admin: User, unused_port: int
) -> None:
    location = f"redis://127.0.0.1:{unused_port}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    started = time.monotonic()
    for _ in range(20):
        record("user.updated", by=admin, target=admin)
    assert time.monotonic() - started < 1
