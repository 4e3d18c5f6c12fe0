"""The summaries of a batch go by a queue of their own, at every try and whoever sends them."""

from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from accounts.models import User
from common.jobs import sweeper
from common.jobs.models import JobStatus
from common.jobs.publishing import BULK_QUEUE, DEFAULT_QUEUE
from common.metrics import scrape
from notes.deduplication import wake_on_commit
from notes.models import Batch, Summary
from notes.services import retry_batch
from notes.tests.factories import TextSummaryFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    """Whose messages went to the broker, and by which queue."""
    messages: list[tuple[Any, str]] = []

    def publish(label: str, pk: Any, *, queue: str, **_: Any) -> bool:
        messages.append((pk, queue))
        return True

    monkeypatch.setattr("common.jobs.models.publish", publish)
    return messages


@pytest.fixture
def client(as_user: Any, owner: User) -> APIClient:
    return as_user(owner)


@pytest.fixture
def one(owner: User) -> Summary:
    """A summary that was asked for alone."""
    return TextSummaryFactory(user=owner)


@pytest.fixture
def item(owner: User) -> Summary:
    """One of a batch's."""
    batch = Batch.objects.create(company=owner.company, user=owner)
    return TextSummaryFactory(user=owner, batch=batch, index=0)


def test_of_a_batch_alone_go_in_bulk(client: APIClient, sent: list) -> None:
    client.post("/api/v1/summaries/batch", {"texts": ["One text.", "Another text."]})
    assert [queue for _, queue in sent] == [BULK_QUEUE, BULK_QUEUE]
    client.post("/api/v1/summaries", {"text": "One text."})
    client.post("/api/v1/notes", {"raw_text": "One text."})
    assert [queue for _, queue in sent[2:]] == [DEFAULT_QUEUE, DEFAULT_QUEUE]


def test_of_a_batch_that_is_retried(item: Summary, owner: User, sent: list) -> None:
    Summary.objects.update(status=JobStatus.FAILED)
    assert item.batch
    retry_batch(item.batch, by=owner)
    assert sent == [(item.pk, BULK_QUEUE)]


def test_swept(one: Summary, item: Summary, sent: list) -> None:
    Summary.objects.update(publish_after=Now())
    assert sweeper.sweep(Summary) == (0, 2)
    assert sent == [(one.pk, DEFAULT_QUEUE), (item.pk, BULK_QUEUE)]


def test_a_long_queue_does_not_keep_the_sweeper_from_the_other(
    one: Summary, item: Summary, sent: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = {DEFAULT_QUEUE: 0, BULK_QUEUE: sweeper.MAX_QUEUE_LENGTH}
    monkeypatch.setattr("common.jobs.sweeper.queue_length", length.get)
    Summary.objects.update(publish_after=Now())
    assert sweeper.sweep(Summary) == (0, 1)
    assert sent == [(one.pk, DEFAULT_QUEUE)]


def test_woken(one: Summary, item: Summary, owner: User, sent: list) -> None:
    Summary.objects.update(making="key")
    wake_on_commit(TextSummaryFactory(user=owner, status=JobStatus.COMPLETED, making="key"))
    assert sent == [(one.pk, DEFAULT_QUEUE), (item.pk, BULK_QUEUE)]


def test_are_counted_apart(one: Summary, item: Summary) -> None:
    Summary.objects.filter(pk=item.pk).update(status=JobStatus.IN_PROGRESS)
    told = scrape.render()[0].decode().splitlines()
    labels = 'kind="notes.Summary",queue='
    assert f'bureau_jobs_queued{{{labels}"jobs"}} 1.0' in told
    assert f'bureau_jobs_queued{{{labels}"bulk"}} 0.0' in told
    assert f'bureau_jobs_in_progress{{{labels}"bulk"}} 1.0' in told
