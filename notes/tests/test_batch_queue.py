"""The summaries of batches use the bulk queue, at every attempt and from every publisher."""

from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from accounts.models import User
from common.jobs import Job, sweeper
from common.jobs.publishing import BULK_QUEUE, DEFAULT_QUEUE
from common.jobs.status import JobStatus
from common.metrics import scrape
from notes.deduplication import publish_waiting_on_commit
from notes.models import Batch, Summary
from notes.services import retry_batch
from notes.tests.factories import TextSummaryFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    """Record the id and queue of each published message."""
    messages: list[tuple[Any, str]] = []

    def publish(job: Job) -> bool:
        messages.append((job.pk, job.queue))
        return True

    monkeypatch.setattr(Job, "publish", publish)
    return messages


@pytest.fixture
def client(as_user: Any, owner: User) -> APIClient:
    return as_user(owner)


@pytest.fixture
def single(owner: User) -> Summary:
    """Return a summary that belongs to no batch."""
    return TextSummaryFactory(user=owner)


@pytest.fixture
def batch_item(owner: User) -> Summary:
    """Return a summary of a batch."""
    batch = Batch.objects.create(company=owner.company, user=owner)
    return TextSummaryFactory(user=owner, batch=batch, index=0)


def test_only_summaries_of_batches_use_the_bulk_queue(client: APIClient, published: list) -> None:
    client.post("/api/v1/summaries/batch", {"texts": ["One text.", "Another text."]})
    assert [queue for _, queue in published] == [BULK_QUEUE, BULK_QUEUE]
    client.post("/api/v1/summaries", {"text": "One text."})
    client.post("/api/v1/notes", {"raw_text": "One text."})
    assert [queue for _, queue in published[2:]] == [DEFAULT_QUEUE, DEFAULT_QUEUE]


def test_a_retried_batch_uses_the_bulk_queue(
    batch_item: Summary, owner: User, published: list
) -> None:
    Summary.objects.update(status=JobStatus.FAILED)
    assert batch_item.batch
    retry_batch(batch_item.batch, by=owner)
    assert published == [(batch_item.pk, BULK_QUEUE)]


def test_the_sweeper_publishes_to_the_queue_of_each_job(
    single: Summary, batch_item: Summary, published: list
) -> None:
    Summary.objects.update(publish_after=Now())
    assert sweeper.sweep(Summary) == (0, 2)
    assert published == [(single.pk, DEFAULT_QUEUE), (batch_item.pk, BULK_QUEUE)]


def test_a_long_bulk_queue_does_not_stop_the_sweeper_of_the_other_queue(
    single: Summary, batch_item: Summary, published: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = {DEFAULT_QUEUE: 0, BULK_QUEUE: sweeper.MAX_QUEUE_LENGTH}
    monkeypatch.setattr("common.jobs.sweeper.queue_length", length.get)
    Summary.objects.update(publish_after=Now())
    assert sweeper.sweep(Summary) == (0, 1)
    assert published == [(single.pk, DEFAULT_QUEUE)]


def test_jobs_that_waited_for_a_producer_use_their_own_queue(
    single: Summary, batch_item: Summary, owner: User, published: list
) -> None:
    Summary.objects.update(in_flight_key="key")
    publish_waiting_on_commit(
        TextSummaryFactory(user=owner, status=JobStatus.COMPLETED, in_flight_key="key")
    )
    assert published == [(single.pk, DEFAULT_QUEUE), (batch_item.pk, BULK_QUEUE)]


def test_metrics_count_each_queue_separately(single: Summary, batch_item: Summary) -> None:
    Summary.objects.filter(pk=batch_item.pk).update(status=JobStatus.IN_PROGRESS)
    lines = scrape.render()[0].decode().splitlines()
    labels = 'kind="notes.Summary",queue='
    assert f'bureau_jobs_queued{{{labels}"jobs"}} 1.0' in lines
    assert f'bureau_jobs_queued{{{labels}"bulk"}} 0.0' in lines
    assert f'bureau_jobs_in_progress{{{labels}"bulk"}} 1.0' in lines
