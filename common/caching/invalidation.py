"""Invalidate cached responses when rows change.

Use `invalidate_on_commit` around a write, or derive the model from `CachedModel` and its queryset
from `CachedQuerySet` to have all writes covered.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, ClassVar

import structlog
from django.db import models, transaction
from redis.exceptions import RedisError

from common.caching import store
from common.jobs import Job, JobResult, RetryLater, handles
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

CACHE_ERRORS = (RedisError, OSError)


class Invalidation(Job):
    """A job that invalidates a namespace if the writer of the rows could not.

    It is inserted in the transaction of the write and deleted once the namespace is invalidated.
    So neither an unavailable cache nor a killed process leaves old responses in use.
    """

    max_attempts: ClassVar[int] = 5000
    queue_name = "control"

    namespace = models.CharField(max_length=50)

    class Meta(Job.Meta):
        app_label = "common"

    def __str__(self) -> str:
        return self.namespace


@handles(Invalidation)
def invalidate(invalidation: Invalidation) -> JobResult:
    try:
        store.invalidate(invalidation.namespace)
    except CACHE_ERRORS as error:
        raise RetryLater("The cache is unavailable.", delay=5) from error
    return JobResult()


@contextmanager
def invalidate_on_commit(*namespaces: str) -> Iterator[None]:
    """Open a transaction whose writes invalidate the namespaces.

    Until the commit no cached response is used, and after it only new ones.
    """
    with transaction.atomic(), ExitStack() as writes:
        for namespace in namespaces:
            writes.enter_context(_write_to_namespace(namespace))
        yield


@contextmanager
def _write_to_namespace(namespace: str) -> Iterator[None]:
    """Begin a write to the namespace; end it after the commit, or at once on an error."""
    invalidation = Invalidation.objects.create(namespace=namespace)
    writer = ""
    with suppress(*CACHE_ERRORS):
        writer = store.begin_write(namespace)
    transaction.on_commit(lambda: _end_write(invalidation, writer))
    try:
        yield
    except BaseException:
        with suppress(*CACHE_ERRORS):
            store.end_write(namespace, writer)
        raise


def _end_write(invalidation: Invalidation, writer: str) -> None:
    namespace = invalidation.namespace
    try:
        store.end_write(namespace, writer)
    except CACHE_ERRORS as error:
        log.warning("cache_not_invalidated", namespace=namespace, error=redacted_message(error))
    else:
        Invalidation.objects.filter(pk=invalidation.pk).delete()


class CachedQuerySet(models.QuerySet):
    """A queryset whose writes to many rows invalidate the model's namespaces."""

    def update(self, **fields: Any) -> int:
        with invalidate_on_commit(*self.model.cache_namespaces):
            return super().update(**fields)

    def delete(self) -> tuple[int, dict[str, int]]:
        with invalidate_on_commit(*self.model.cache_namespaces):
            return super().delete()

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        with invalidate_on_commit(*self.model.cache_namespaces):
            return super().bulk_create(*args, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        with invalidate_on_commit(*self.model.cache_namespaces):
            return super().bulk_update(*args, **kwargs)


class CachedModel(models.Model):
    """A model whose writes invalidate the responses in `cache_namespaces`."""

    cache_namespaces: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with invalidate_on_commit(*self.cache_namespaces):
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with invalidate_on_commit(*self.cache_namespaces):
            return super().delete(*args, **kwargs)
