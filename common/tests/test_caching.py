"""The rules of the byte cache; `catalog/tests/test_products_cache` tests it with real products."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from redis.exceptions import ConnectionError as RedisConnectionError

from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.invalidation import Invalidation, invalidate_on_commit
from common.caching.middleware import cache_key
from common.jobs import runner
from common.jobs.status import JobStatus

NAMESPACE = "things"


@pytest.fixture(autouse=True)
def _cache_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "unavailable_until", 0.0)


@pytest.fixture
def cache_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list]:
    """A list: while it has an item, all commands to the cache fail."""
    failures = [True]
    execute = store._execute

    def fail_or_execute(*command: Any) -> Any:
        if failures:
            raise RedisConnectionError("refused")
        return execute(*command)

    monkeypatch.setattr(store, "_execute", fail_or_execute)
    return failures


def store_response(key: str, response: bytes) -> None:
    store.store_response(store.look_up(NAMESPACE, key), response)


class TestStore:
    def test_the_first_caller_computes_and_the_next_gets_the_response(self) -> None:
        first, second = store.look_up(NAMESPACE, "a"), store.look_up(NAMESPACE, "a")
        assert (first.has_lock, second.has_lock) == (True, False)
        assert first.response is second.response is None
        store.store_response(first, b"1")
        assert store.look_up(NAMESPACE, "a").response == b"1"

    def test_without_a_result_the_next_caller_computes(self) -> None:
        store.store_response(store.look_up(NAMESPACE, "a"), None)
        assert store.look_up(NAMESPACE, "a").has_lock is True

    def test_nothing_is_read_or_stored_during_a_write(self) -> None:
        store_response("a", b"old")
        writer = store.begin_write(NAMESPACE)
        assert store.look_up(NAMESPACE, "a") is store.BYPASS
        store.end_write(NAMESPACE, writer)
        assert store.look_up(NAMESPACE, "a").response is None

    def test_the_cache_is_used_again_after_the_last_of_two_writes(self) -> None:
        first, second = store.begin_write(NAMESPACE), store.begin_write(NAMESPACE)
        store.end_write(NAMESPACE, first)
        assert store.look_up(NAMESPACE, "a") is store.BYPASS
        store.end_write(NAMESPACE, second)
        assert store.look_up(NAMESPACE, "a").has_lock is True

    def test_a_response_computed_before_a_write_is_not_read_after_it(self) -> None:
        slow = store.look_up(NAMESPACE, "a")
        store.end_write(NAMESPACE, store.begin_write(NAMESPACE))
        store.store_response(slow, b"old")
        assert store.look_up(NAMESPACE, "a").response is None

    def test_invalidating_one_namespace_keeps_the_others(self) -> None:
        store_response("a", b"1")
        store.invalidate("other")
        assert store.look_up(NAMESPACE, "a").response == b"1"

    def test_old_responses_are_not_used_after_the_version_was_lost(self) -> None:
        store_response("a", b"old")
        store._execute("DEL", f"{store.PREFIX}:{NAMESPACE}:state")
        assert store.look_up(NAMESPACE, "a").response is None

    def test_after_an_error_the_cache_is_not_used_for_a_moment(self, cache_failures: list) -> None:
        assert store.look_up(NAMESPACE, "a") is store.BYPASS
        cache_failures.clear()
        assert store.look_up(NAMESPACE, "a") is store.BYPASS


class TestInvalidateOnCommit:
    @pytest.mark.django_db(transaction=True)
    def test_a_commit_changes_the_version(self) -> None:
        store_response("a", b"old")
        with invalidate_on_commit(NAMESPACE):
            assert store.look_up(NAMESPACE, "a") is store.BYPASS
        assert store.look_up(NAMESPACE, "a").has_lock is True
        assert not Invalidation.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_the_write_lasts_until_the_outer_transaction_commits(self) -> None:
        with transaction.atomic():
            with invalidate_on_commit(NAMESPACE):
                pass
            assert store.look_up(NAMESPACE, "a") is store.BYPASS
        assert store.look_up(NAMESPACE, "a").has_lock is True

    @pytest.mark.django_db(transaction=True)
    def test_the_cache_is_used_again_after_a_rollback(self) -> None:
        with pytest.raises(ZeroDivisionError), invalidate_on_commit(NAMESPACE):
            raise ZeroDivisionError
        assert store.look_up(NAMESPACE, "a").has_lock is True
        assert not Invalidation.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_job_invalidates_the_namespace_if_the_cache_was_unavailable(
        self, cache_failures: list
    ) -> None:
        cache_failures.clear()
        store_response("a", b"old")
        cache_failures.append(True)
        with invalidate_on_commit(NAMESPACE):
            pass
        invalidation = Invalidation.objects.get()
        runner.run(Invalidation, invalidation.pk)
        invalidation.refresh_from_db()
        assert (invalidation.status, invalidation.error) == (
            JobStatus.QUEUED,
            "The cache is unavailable.",
        )
        cache_failures.clear()
        Invalidation.objects.update(run_after=Now() - timedelta(seconds=1))
        runner.run(Invalidation, invalidation.pk)
        assert store.look_up(NAMESPACE, "a").response is None


class TestCacheKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("/x?a=1&b=2", "/x?b=2&a=1"),
            ("/x?a=%31", "/x?a=1"),
            ("/x?a=1+2", "/x?a=1%202"),
            ("/x?a=\xc3\xa9", "/x?a=%C3%A9"),
        ],
    )
    def test_spellings_of_one_request_share_a_key(self, one: str, other: str) -> None:
        assert cache_key(*one.split("?")) == cache_key(*other.split("?"))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("/x", "/x?a="),
            ("/x?a=1", "/x?a=2"),
            ("/x?a=1&a=2", "/x?a=1"),
            ("/x?a=1&a=2", "/x?a=2&a=1"),
            ("/x?a=\xc3\xa9", "/x?a=%C3%83%C2%A9"),
            ("/x", "/y"),
        ],
    )
    def test_different_requests_have_different_keys(self, one: str, other: str) -> None:
        assert cache_key(*f"{one}?".split("?")[:2]) != cache_key(*f"{other}?".split("?")[:2])


class TestEtags:
    def test_an_etag_depends_on_the_bytes(self) -> None:
        assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")

    @pytest.mark.parametrize(
        "header",
        [
            '"x"',
            'W/"x"',
            '"y", "x"',
            "*",
            '"x-gzip"',
            '"x-zstd"',
            '"x-br"',
            '"x--gzip"',
            '"x;gzip"',
            'W/"x-gzip"',
            '"y-gzip", W/"y", "x-GZIP"',
        ],
    )
    def test_a_header_matches_whatever_a_compressing_proxy_made_of_the_tag(
        self, header: str
    ) -> None:
        assert matches(header, '"x"')

    @pytest.mark.parametrize(
        "header", ['"y"', "", "x", '"y-gzip"', '"x-y"', '"xgzip"', '"-gzip"', '"gzip-x"', 'W/"y"']
    )
    def test_other_tags_do_not_match(self, header: str) -> None:
        assert not matches(header, '"x"')
