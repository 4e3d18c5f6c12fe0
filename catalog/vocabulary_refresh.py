"""Maintaining the vocabulary: reading changed products (`refresh`) or all of them (`rebuild`).

A refresh adds new words. Once a tenth of the products has changed, or after a day, it counts all
products again and removes the words that no product has.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import F

from catalog.search_vectors import CONFIG, PLAIN_CONFIG, joined_words_of, words_of
from catalog.vocabulary import VocabularyState

# A transaction may commit rows some time after it has set their `updated_at`.
COMMIT_DELAY = timedelta(minutes=1)
MAX_COUNT_AGE = timedelta(days=1)
MAX_CHANGED_SHARE = 0.1
# The most changed products that are read while a client waits for a search.
MAX_PRODUCTS_BEFORE_SEARCH = 20_000
# The advisory lock that only one refresh holds at a time.
LOCK_ID = 0x766F636162
START_OF_TIME = datetime(1000, 1, 1, tzinfo=UTC)

_ALL_TEXTS = "name || ' ' || category || ' ' || description"
_TEXT = f"{words_of(_ALL_TEXTS)} || ' ' || {joined_words_of(_ALL_TEXTS)}"

# ts_stat takes a query as text and returns in how many of its rows each word is.
COUNT_WORDS = f"""
    CREATE TEMP TABLE fresh_word ON COMMIT DROP AS
    SELECT word, (ts_lexize('{CONFIG}_stem', word))[1] AS lexeme, ndoc AS product_count
    FROM ts_stat(format(%(texts)s, %(since)s)) WHERE length(word) <= 100
"""  # noqa: S608
TEXTS = f"""
    SELECT to_tsvector('{PLAIN_CONFIG}', {_TEXT}) FROM catalog_product
    WHERE deleted_at IS NULL AND updated_at > %L
"""  # noqa: S608
INSERT_WORDS = """
    INSERT INTO catalog_word AS word (word, lexeme, product_count)
    SELECT word, lexeme, product_count FROM fresh_word WHERE lexeme IS NOT NULL
    ON CONFLICT (word) DO
"""
ADD_NEW_WORDS = INSERT_WORDS + "NOTHING"
ADD_OR_UPDATE_WORDS = f"""
    {INSERT_WORDS}
    UPDATE SET product_count = EXCLUDED.product_count
    WHERE word.product_count <> EXCLUDED.product_count
"""
COUNT_CHANGED = f"""
    SELECT count(*) FROM (
        SELECT FROM catalog_product WHERE updated_at > coalesce(
            (SELECT max(read_until) FROM catalog_vocabularystate), '-infinity'
        ) LIMIT {MAX_PRODUCTS_BEFORE_SEARCH + 1}
    ) AS changed
"""  # noqa: S608
REMOVE_UNUSED_WORDS = """
    DELETE FROM catalog_word word
    WHERE NOT EXISTS (SELECT 1 FROM fresh_word WHERE fresh_word.word = word.word)
"""


def refresh() -> bool:
    """Read the products that have changed since the last refresh.

    Reading a product twice is harmless. Returns whether there was anything to read; does nothing
    while another refresh runs.
    """
    with transaction.atomic():
        if not _try_lock():
            return False
        state = VocabularyState.objects.first()
        if state is None:
            return _count_all()
        since = state.read_until - COMMIT_DELAY
        changed = _changed_since(since).count()
        if _is_outdated(state, changed):
            return _count_all()
        return changed > 0 and _add_words(since, changed)


def refresh_before_search() -> bool:
    """Refresh if products have changed, but not so many that a search would wait too long."""
    count = _fetch_value(COUNT_CHANGED)
    return 0 < count <= MAX_PRODUCTS_BEFORE_SEARCH and refresh()


def rebuild() -> None:
    """Count the words of all products."""
    with transaction.atomic():
        _lock()
        _count_all()


def _changed_since(since: datetime) -> models.QuerySet:
    return apps.get_model("catalog.Product")._base_manager.filter(updated_at__gt=since)


def _is_outdated(state: VocabularyState, changed: int) -> bool:
    changed += state.changed_count
    is_old = _database_time() - state.counted_at > MAX_COUNT_AGE
    return changed > MAX_CHANGED_SHARE * state.product_count or (is_old and changed > 0)


def _add_words(since: datetime, changed: int) -> bool:
    until = _database_time()
    _write_words(since, [ADD_NEW_WORDS])
    VocabularyState.objects.update(read_until=until, changed_count=F("changed_count") + changed)
    return True


def _count_all() -> bool:
    until = _database_time()
    _write_words(START_OF_TIME, [REMOVE_UNUSED_WORDS, ADD_OR_UPDATE_WORDS])
    products = _changed_since(START_OF_TIME).filter(deleted_at=None).count()
    VocabularyState.objects.update_or_create(
        pk=1,
        defaults={
            "read_until": until,
            "counted_at": until,
            "product_count": products,
            "changed_count": 0,
        },
    )
    return True


def _write_words(since: datetime, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(COUNT_WORDS, {"since": since, "texts": TEXTS})
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("DROP TABLE fresh_word")
        # PostgreSQL does not analyse so small a table. Without statistics it assumes that half of
        # the companies are inactive, and each estimated total is half of what it should be.
        cursor.execute("ANALYZE accounts_company")


def _database_time() -> datetime:
    """Return the time of the database's clock, which also advances during a transaction."""
    return _fetch_value("SELECT clock_timestamp()")


def _try_lock() -> bool:
    return bool(_fetch_value(f"SELECT pg_try_advisory_xact_lock({LOCK_ID})"))


def _lock() -> None:
    _fetch_value(f"SELECT pg_advisory_xact_lock({LOCK_ID})")


def _fetch_value(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
