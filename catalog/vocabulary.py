"""The words of the catalogue: by them misspelt words are put right and telling words count more.

`vocabulary_update` keeps them. They may lag behind the products, and search bears it.
"""

from typing import NamedTuple

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models
from django.db.models.functions import Now

from catalog.search_vectors import CONFIG

LOOK_UP = f"""
    SELECT form, phraseto_tsquery('{CONFIG}', phrase)::text,
           sum(word.products)::int, sum(word.categories)::int,
           (SELECT max(products) FROM catalog_vocabularystate)
    FROM unnest(%s::text[], %s::text[]) asked(form, phrase)
    LEFT JOIN catalog_word word
        ON word.lexeme = ANY(tsvector_to_array(to_tsvector('{CONFIG}', phrase)))
    GROUP BY form, phrase
"""  # noqa: S608


class Known(NamedTuple):
    """A form of a word as PostgreSQL looks for it, and what the vocabulary knows of it.

    It is in so many `products`, and in the `categories` of so many, `of` all that there are.
    """

    lexemes: str
    products: int
    categories: int
    of: int


class WordQuerySet(models.QuerySet):
    def look_up(self, phrases: dict[str, str]) -> dict[str, Known]:
        """What is known of each form, however inflected, by how PostgreSQL is to parse it."""
        with connection.cursor() as cursor:
            cursor.execute(LOOK_UP, [list(phrases), list(phrases.values())])
            rows = cursor.fetchall()
        return {form: Known(text, n or 0, c or 0, of or 0) for form, text, n, c, of in rows}


class Word(models.Model):
    """A word as products write it, in lower case without accents, and in how many of them it is.

    It belongs to no company: spelling is put right for everybody's public search.
    """

    word = models.CharField(max_length=100, primary_key=True)
    lexeme = models.CharField(max_length=100, db_index=True)
    products = models.PositiveIntegerField()
    categories = models.PositiveIntegerField(default=0)

    objects = WordQuerySet.as_manager()

    class Meta:
        indexes = [GinIndex(OpClass("word", name="gin_trgm_ops"), name="word_part")]

    def __str__(self) -> str:
        return self.word


class VocabularyState(models.Model):
    """One row: up to when products have been read, and how many there were at the last count."""

    read_until = models.DateTimeField(db_default=Now())
    counted_at = models.DateTimeField(db_default=Now())
    products = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Read until {self.read_until}"
