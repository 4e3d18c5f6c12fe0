"""The byte cache's own rules; `catalog/tests/test_products_cache` has it under real products."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from redis.exceptions import ConnectionError as RedisAway

from common.caching import store
from common.caching.etags import etag_of, matches
from common.caching.invalidation import CacheBump, changing
from common.caching.middleware import key_of
from common.jobs import runner
from common.jobs.models import JobStatus

NAME = "things"


@pytest.fixture(autouse=True)
def _cache_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_away_until", 0.0)


@pytest.fixture
def dead_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[list]:
    """Calls to the cache fail until the list is emptied."""
    dead = [True]
    real = store._ask

    def ask(*command: Any) -> Any:
        if dead:
            raise RedisAway("refused")
        return real(*command)

    monkeypatch.setattr(store, "_ask", ask)
    return dead


def filled(key: str, copy: bytes) -> None:
    store.write(store.read(NAME, key), copy)


class TestStore:
    def test_first_caller_computes_and_the_next_gets_the_copy(self) -> None:
        first, second = store.read(NAME, "a"), store.read(NAME, "a")
        assert (first.mine, second.mine) == (True, False)
        assert first.copy is second.copy is None
        store.write(first, b"1")
        assert store.read(NAME, "a").copy == b"1"

    def test_without_a_result_another_may_try(self) -> None:
        store.write(store.read(NAME, "a"), None)
        assert store.read(NAME, "a").mine is True

    def test_while_somebody_writes_nothing_is_read_and_nothing_stored(self) -> None:
        filled("a", b"old")
        writer = store.announce(NAME)
        assert store.read(NAME, "a") is store.BYPASS
        store.end(NAME, writer)
        assert store.read(NAME, "a").copy is None

    def test_two_writers(self) -> None:
        first, second = store.announce(NAME), store.announce(NAME)
        store.end(NAME, first)
        assert store.read(NAME, "a") is store.BYPASS
        store.end(NAME, second)
        assert store.read(NAME, "a").mine is True

    def test_what_was_computed_before_a_write_is_not_read_after_it(self) -> None:
        slow = store.read(NAME, "a")
        store.end(NAME, store.announce(NAME))
        store.write(slow, b"old")
        assert store.read(NAME, "a").copy is None

    def test_namespaces_do_not_meet(self) -> None:
        filled("a", b"1")
        store.end("other")
        assert store.read(NAME, "a").copy == b"1"

    def test_a_lost_version_does_not_bring_old_copies_back(self) -> None:
        filled("a", b"old")
        store._ask("DEL", f"{store.PREFIX}:{NAME}:state")
        assert store.read(NAME, "a").copy is None

    def test_a_dead_cache_is_left_alone_for_a_moment(self, dead_cache: list) -> None:
        assert store.read(NAME, "a") is store.BYPASS
        dead_cache.clear()
        assert store.read(NAME, "a") is store.BYPASS


class TestWrites:
    @pytest.mark.django_db(transaction=True)
    def test_a_commit_moves_the_version_on(self) -> None:
        filled("a", b"old")
        with changing(NAME):
            assert store.read(NAME, "a") is store.BYPASS
        assert store.read(NAME, "a").mine is True
        assert not CacheBump.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_within_a_longer_transaction_it_lasts_until_the_commit(self) -> None:
        with transaction.atomic():
            with changing(NAME):
                pass
            assert store.read(NAME, "a") is store.BYPASS
        assert store.read(NAME, "a").mine is True

    @pytest.mark.django_db(transaction=True)
    def test_a_rollback_leaves_the_cache_in_use(self) -> None:
        with pytest.raises(ZeroDivisionError), changing(NAME):
            raise ZeroDivisionError
        assert store.read(NAME, "a").mine is True
        assert not CacheBump.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_what_a_dead_cache_did_not_hear_a_job_says_later(self, dead_cache: list) -> None:
        dead_cache.clear()
        filled("a", b"old")
        dead_cache.append(True)
        with changing(NAME):
            pass
        bump = CacheBump.objects.get()
        runner.run(CacheBump, bump.pk)
        bump.refresh_from_db()
        assert (bump.status, bump.error) == (JobStatus.QUEUED, "The cache is away.")
        dead_cache.clear()
        CacheBump.objects.update(run_after=Now() - timedelta(seconds=1))
        runner.run(CacheBump, bump.pk)
        assert store.read(NAME, "a").copy is None


class TestKeys:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("/x?a=1&b=2", "/x?b=2&a=1"),
            ("/x?a=%31", "/x?a=1"),
            ("/x?a=1+2", "/x?a=1%202"),
            ("/x?a=\xc3\xa9", "/x?a=%C3%A9"),
        ],
    )
    def test_spellings_of_one_request(self, one: str, other: str) -> None:
        assert key_of(*one.split("?")) == key_of(*other.split("?"))

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
    def test_different_requests(self, one: str, other: str) -> None:
        assert key_of(*f"{one}?".split("?")[:2]) != key_of(*f"{other}?".split("?")[:2])


class TestEtags:
    def test_is_of_the_bytes(self) -> None:
        assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")

    @pytest.mark.parametrize(
        ("header", "strongly", "weakly"),
        [
            ('"x"', True, True),
            ('W/"x"', False, True),
            ('"y", "x"', True, True),
            ("*", True, True),
            ('"y"', False, False),
            ("", False, False),
            ("x", False, False),
        ],
    )
    def test_matching(self, header: str, strongly: bool, weakly: bool) -> None:
        assert matches(header, '"x"') is strongly
        assert matches(header, '"x"', weakly=True) is weakly
