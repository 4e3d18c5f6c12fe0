"""Keeping the vocabulary: reading what changed (`refresh`), or counting all anew (`rebuild`).

Reading adds the words that are new. Frequencies are counted anew, and words of no product
removed, once a tenth of the products has changed or a day has passed.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import F

from catalog.search_vectors import CONFIG, PLAIN_CONFIG, words_of
from catalog.vocabulary import VocabularyState

# A transaction may commit rows some time after it has stamped them.
OVERLAP = timedelta(minutes=1)
LONGEST_AGE = timedelta(days=1)
CHANGED = 0.1
# So many changed products are read while somebody waits for a search.
READ_AT_ONCE = 20_000
# Those who refresh take turns by this advisory lock.
LOCK = 0x766F636162

_CATEGORY = words_of("category")
_TEXT = words_of("name || ' ' || category || ' ' || description")

# ts_stat takes a query as text and counts in how many of its rows each word is. Categories are
# few, so each is parsed once and not with each of its products.
COUNT = f"""
    CREATE TEMP TABLE fresh_word ON COMMIT DROP AS
    WITH grouped AS (
        SELECT category, count(*) AS products FROM catalog_product
        WHERE deleted_at IS NULL AND updated_at > %(since)s GROUP BY category
    ), named AS (
        SELECT word, sum(products) AS products
        FROM grouped, unnest(tsvector_to_array(to_tsvector('{PLAIN_CONFIG}', {_CATEGORY}))) word
        GROUP BY word
    )
    SELECT word, (ts_lexize('{CONFIG}_stem', word))[1] AS lexeme, ndoc AS products,
           coalesce(named.products, 0) AS categories
    FROM ts_stat(format(%(texts)s, %(since)s)) LEFT JOIN named USING (word)
    WHERE length(word) <= 100
"""  # noqa: S608
TEXTS = f"""
    SELECT to_tsvector('{PLAIN_CONFIG}', {_TEXT}) FROM catalog_product
    WHERE deleted_at IS NULL AND updated_at > %L
"""  # noqa: S608
ADD = """
    INSERT INTO catalog_word AS word (word, lexeme, products, categories)
    SELECT word, lexeme, products, categories FROM fresh_word WHERE lexeme IS NOT NULL
    ON CONFLICT (word) DO
"""
REPLACE = """
    UPDATE SET products = EXCLUDED.products, categories = EXCLUDED.categories
    WHERE (word.products, word.categories) <> (EXCLUDED.products, EXCLUDED.categories)
"""
REMOVE = """
    DELETE FROM catalog_word word
    WHERE NOT EXISTS (SELECT 1 FROM fresh_word WHERE fresh_word.word = word.word)
"""
LONG_AGO = datetime(1000, 1, 1, tzinfo=UTC)


def refresh() -> bool:
    """Read what has changed since last time; what is read twice does no harm.

    Returns whether anything was there to read; nothing is done while another refreshes.
    """
    with transaction.atomic():
        if not _my_turn():
            return False
        state = VocabularyState.objects.first()
        if state is None:
            return _recount()
        since = state.read_until - OVERLAP
        changed = _changed_since(since).count()
        if _is_stale(state, changed):
            return _recount()
        return changed > 0 and _read(since, changed)


def catch_up() -> bool:
    """Refresh before somebody's search is answered with what it lacks, if it is little to read."""
    state = VocabularyState.objects.first()
    changed = _changed_since(state.read_until if state else LONG_AGO)
    number = changed[: READ_AT_ONCE + 1].count()
    return 0 < number <= READ_AT_ONCE and refresh()


def rebuild() -> None:
    """Count all products anew."""
    with transaction.atomic():
        _wait_for_turn()
        _recount()


def _changed_since(since: datetime) -> models.QuerySet:
    return apps.get_model("catalog.Product")._base_manager.filter(updated_at__gt=since)


def _is_stale(state: VocabularyState, changed: int) -> bool:
    changed += state.changed
    aged = _now() - state.counted_at > LONGEST_AGE
    return changed > CHANGED * state.products or (aged and changed > 0)


def _read(since: datetime, changed: int) -> bool:
    until = _now()
    _write(since, [ADD + "NOTHING"])
    VocabularyState.objects.update(read_until=until, changed=F("changed") + changed)
    return True


def _recount() -> bool:
    until = _now()
    _write(LONG_AGO, [REMOVE, ADD + REPLACE])
    products = _changed_since(LONG_AGO).filter(deleted_at=None).count()
    VocabularyState.objects.update_or_create(
        pk=1,
        defaults={
            "read_until": until,
            "counted_at": until,
            "products": products,
            "changed": 0,
        },
    )
    return True


def _write(since: datetime, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"since": since, "texts": TEXTS})
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("DROP TABLE fresh_word")
        # PostgreSQL leaves so small a table unanalysed, takes half of the companies for closed,
        # and then every estimated total is half of what it should be.
        cursor.execute("ANALYZE accounts_company")


def _now() -> datetime:
    """The clock of the database, which goes on during a transaction."""
    return _one("SELECT clock_timestamp()")


def _my_turn() -> bool:
    return bool(_one(f"SELECT pg_try_advisory_xact_lock({LOCK})"))


def _wait_for_turn() -> None:
    _one(f"SELECT pg_advisory_xact_lock({LOCK})")


def _one(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
