"""Telling the cache of writes: by hand (`changing`) or for all of a model's (`CachedRows`)."""

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


class CacheBump(Job):
    """Tells the cache that rows behind a namespace have changed, if their writer could not.

    It is inserted with the change itself and removed when the cache has heard; so neither a dead
    cache nor a dead process leaves old copies in use.
    """

    max_attempts: ClassVar[int] = 5000

    namespace = models.CharField(max_length=50)

    class Meta(Job.Meta):
        app_label = "common"

    def __str__(self) -> str:
        return self.namespace


@handles(CacheBump)
def end_write(bump: CacheBump) -> JobResult:
    try:
        store.end(bump.namespace)
    except CACHE_ERRORS as error:
        raise RetryLater("The cache is away.", delay=5) from error
    return JobResult()


@contextmanager
def changing(*namespaces: str) -> Iterator[None]:
    """Change rows whose copies the namespaces hold, in a transaction.

    From its beginning until the commit nobody is given a copy, and after it only new ones.
    """
    with transaction.atomic(), ExitStack() as open_writes:
        for namespace in namespaces:
            open_writes.enter_context(_changing_one(namespace))
        yield


@contextmanager
def _changing_one(namespace: str) -> Iterator[None]:
    bump = CacheBump.objects.create(namespace=namespace)
    writer = ""
    with suppress(*CACHE_ERRORS):
        writer = store.announce(namespace)
    transaction.on_commit(lambda: _ended(bump, writer))
    try:
        yield
    except BaseException:
        with suppress(*CACHE_ERRORS):
            store.end(namespace, writer)
        raise


def _ended(bump: CacheBump, writer: str) -> None:
    try:
        store.end(bump.namespace, writer)
    except CACHE_ERRORS as error:
        log.warning("cache_not_told", namespace=bump.namespace, error=redacted_message(error))
    else:
        CacheBump.objects.filter(pk=bump.pk).delete()


class CachedQuerySet(models.QuerySet):
    """Tells the cache of every write to many rows at once."""

    def update(self, **fields: Any) -> int:
        with changing(*self.model.cache_namespaces):
            return super().update(**fields)

    def delete(self) -> tuple[int, dict[str, int]]:
        with changing(*self.model.cache_namespaces):
            return super().delete()

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        with changing(*self.model.cache_namespaces):
            return super().bulk_create(*args, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        with changing(*self.model.cache_namespaces):
            return super().bulk_update(*args, **kwargs)


class CachedRows(models.Model):
    """A row that is shown in the rendered copies of `cache_namespaces`."""

    cache_namespaces: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with changing(*self.cache_namespaces):
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with changing(*self.cache_namespaces):
            return super().delete(*args, **kwargs)
