"""The words of the catalogue, for correcting spelling and weighting the words of a query.

`vocabulary_refresh` maintains them. They may lag behind the products; search allows for that.
"""

from collections import defaultdict
from typing import NamedTuple

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models
from django.db.models.functions import Now

from catalog.search_vectors import CONFIG, PLAIN_CONFIG

MAX_COMPOUNDS = 20

LOOK_UP = f"""
    SELECT form, phraseto_tsquery('{CONFIG}', phrase)::text,
           sum(word.product_count)::int,
           (SELECT max(product_count) FROM catalog_vocabularystate),
           array_agg(word.word), array_agg(word.product_count)
    FROM unnest(%s::text[], %s::text[]) requested(form, phrase)
    LEFT JOIN catalog_word word
        ON word.lexeme = ANY(tsvector_to_array(to_tsvector('{CONFIG}', phrase)))
    GROUP BY form, phrase
"""  # noqa: S608

# Words that end or begin with the form. Another part of a compound has three letters or more: a
# chair is not a compound of "hair". The beginning of a word is a part of it only if it is long.
COMPOUNDS = f"""
    SELECT form, compound.lexeme, compound.product_count
    FROM unnest(%s::text[]) form,
        unnest(tsvector_to_array(to_tsvector('{PLAIN_CONFIG}', form))) part,
        LATERAL (
            SELECT * FROM catalog_word
            WHERE (word LIKE '%%' || part OR word LIKE part || '%%' AND length(part) >= 5)
                AND length(word) >= length(part) + 3
            ORDER BY product_count DESC LIMIT {MAX_COMPOUNDS}
        ) compound
"""  # noqa: S608


class WordStats(NamedTuple):
    """How common a form of a word is, and the query (tsquery) that PostgreSQL runs for it.

    Of `total_products` products, `product_count` have the word. `words` has its inflections and
    other words with the same stem, with their numbers of products.
    """

    lexemes: str
    product_count: int
    total_products: int
    words: tuple[tuple[str, int], ...] = ()


class WordQuerySet(models.QuerySet):
    def look_up(self, phrases: dict[str, str]) -> dict[str, WordStats]:
        """Return the statistics of each form of a word, over all its inflections.

        `phrases` maps each form to the text that PostgreSQL parses for it.
        """
        with connection.cursor() as cursor:
            cursor.execute(LOOK_UP, [list(phrases), list(phrases.values())])
            rows = cursor.fetchall()
        return {
            form: WordStats(
                text,
                count or 0,
                total or 0,
                tuple(zip(words, counts, strict=True)) if count else (),
            )
            for form, text, count, total, words, counts in rows
        }

    def look_up_compounds(self, forms: list[str]) -> dict[str, list[WordStats]]:
        """Return the statistics of the words that each form is a part of."""
        compounds: dict[str, list[WordStats]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(COMPOUNDS, [forms])
            for form, lexeme, products in cursor.fetchall():
                compounds[form].append(WordStats(f"'{lexeme}'", products, 0))
        return compounds


class Word(models.Model):
    """A word of the products, in lower case without accents, and how many products have it.

    It belongs to no company, because search is public and covers all companies.
    """

    word = models.CharField(max_length=100, primary_key=True)
    lexeme = models.CharField(max_length=100, db_index=True)
    product_count = models.PositiveIntegerField()
    # Not used any more. The code before still writes it while this release is deployed beside it.
    category_count = models.PositiveIntegerField(default=0, db_default=0)

    objects = WordQuerySet.as_manager()

    class Meta:
        indexes = [GinIndex(OpClass("word", name="gin_trgm_ops"), name="word_trigrams")]

    def __str__(self) -> str:
        return self.word


class VocabularyState(models.Model):
    """The one row that stores up to when products were read, and the last full count.

    `changed_count` products have changed since `counted_at`.
    """

    read_until = models.DateTimeField(db_default=Now())
    counted_at = models.DateTimeField(db_default=Now())
    product_count = models.PositiveIntegerField(default=0)
    changed_count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Read until {self.read_until}"
