"""The words of the catalogue: by them misspelt words are put right and rare words count more.

It is kept by reading what has changed since last time (`refresh`), which adds new words, and made
anew (`rebuild`) once a tenth of the products has changed or a day has passed. So frequencies may
lag and a word may outlive its last product; search bears both.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models, transaction
from django.db.models.functions import Now

from catalog.vectors import CONFIG, PLAIN_CONFIG, words_of

# A transaction may commit rows some time after it has stamped them.
OVERLAP = timedelta(minutes=1)
LONGEST_AGE = timedelta(days=1)
# The share of the products after whose change the frequencies are counted anew.
CHANGED = 0.1
# Refreshing takes turns by this advisory lock.
LOCK = 0x6275726561  # "burea"

_TEXT = " || ' ' || ".join(words_of(column) for column in ("name", "category", "description"))

# ts_stat takes a query as text and counts in how many of its rows each word is.
COUNT = f"""
    CREATE TEMP TABLE fresh_word ON COMMIT DROP AS
    SELECT word, (ts_lexize('{CONFIG}_stem', word))[1] AS lexeme, ndoc AS products
    FROM ts_stat(%s) WHERE length(word) <= 100
"""  # noqa: S608
PRODUCTS = f"""
    SELECT to_tsvector('{PLAIN_CONFIG}', {_TEXT}) FROM catalog_product
    WHERE deleted_at IS NULL
"""  # noqa: S608
ADD = """
    INSERT INTO catalog_word (word, lexeme, products)
    SELECT word, lexeme, products FROM fresh_word WHERE lexeme IS NOT NULL
    ON CONFLICT (word) DO
"""
REPLACE = "UPDATE SET products = EXCLUDED.products WHERE word.products <> EXCLUDED.products"
REMOVE = """
    DELETE FROM catalog_word word
    WHERE NOT EXISTS (SELECT 1 FROM fresh_word WHERE fresh_word.word = word.word)
"""
FREQUENCIES = f"""
    SELECT form, sum(word.products)
    FROM unnest(%s::text[]) form
    JOIN catalog_word word ON word.lexeme = ANY(tsvector_to_array(to_tsvector('{CONFIG}', form)))
    GROUP BY form
    UNION ALL
    SELECT '', coalesce(max(products), 0) FROM catalog_vocabularystate
"""  # noqa: S608


class WordQuerySet(models.QuerySet):
    def frequencies(self, forms: Iterable[str]) -> tuple[dict[str, int], int]:
        """In how many products each form occurs, however inflected; and how many there are."""
        with connection.cursor() as cursor:
            cursor.execute(FREQUENCIES, [sorted(forms)])
            known = {form: int(number) for form, number in cursor.fetchall()}
        return known, known.pop("")


class Word(models.Model):
    """A word as products write it, in lower case without accents, and in how many of them it is.

    It belongs to no company: spelling is put right for everybody's public search.
    """

    word = models.CharField(max_length=100, primary_key=True)
    lexeme = models.CharField(max_length=100, db_index=True)
    products = models.PositiveIntegerField()

    objects = WordQuerySet.as_manager()

    class Meta:
        indexes = [GinIndex(OpClass("word", name="gin_trgm_ops"), name="word_part")]

    def __str__(self) -> str:
        return self.word


class VocabularyState(models.Model):
    """One row: up to when the vocabulary has read the products, and how many there were."""

    read_until = models.DateTimeField(db_default=Now())
    built_at = models.DateTimeField(db_default=Now())
    products = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Read until {self.read_until}"


@transaction.atomic
def rebuild() -> None:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [PRODUCTS])
        cursor.execute(REMOVE)
        cursor.execute(ADD.replace("catalog_word (", "catalog_word AS word (") + REPLACE)
        cursor.execute("SELECT count(*) FROM catalog_product WHERE deleted_at IS NULL")
        number = cursor.fetchone()[0]
        cursor.execute("DROP TABLE fresh_word")
    VocabularyState.objects.update_or_create(
        pk=1,
        defaults={"read_until": Now(), "built_at": Now(), "products": number, "changed": 0},
    )
