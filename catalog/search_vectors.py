"""What of a product is searched, as PostgreSQL stores it, and how its words are made.

The text search configuration `bureau` (`CONFIGURATION`, made by the first migration) takes accents
off and stems English. It has no stop words: "on" and "die" are words in some language, so all are
stored, and it is the query that leaves out what says little (`catalog.query_parser`).
"""

from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Func

CONFIG = "bureau"
PLAIN_CONFIG = "bureau_plain"

# Han, kana and Hangul: written without spaces, so each character is stored as a word, and a run of
# them is looked for as a phrase.
UNSPACED = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"

# What follows is not what a thing is, but what it has or is for.
NOUN_ENDS = "(,| - |[(]| (with|without|for|in|by|from|of|and|&) )"

# Only words with letters beyond ASCII can have accents.
_ASCII = "asciiword, asciihword, hword_asciipart"
_OTHERS = "word, numword, hword, hword_part, numhword, hword_numpart"

CONFIGURATION = f"""
CREATE TEXT SEARCH DICTIONARY {CONFIG}_stem (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION {CONFIG} (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION {CONFIG} ALTER MAPPING FOR {_ASCII} WITH {CONFIG}_stem;
ALTER TEXT SEARCH CONFIGURATION {CONFIG} ALTER MAPPING FOR {_OTHERS} WITH unaccent, {CONFIG}_stem;
CREATE TEXT SEARCH CONFIGURATION {PLAIN_CONFIG} (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION {PLAIN_CONFIG} ALTER MAPPING FOR {_OTHERS} WITH unaccent, simple;
"""

NO_CONFIGURATION = f"""
DROP TEXT SEARCH CONFIGURATION {PLAIN_CONFIG};
DROP TEXT SEARCH CONFIGURATION {CONFIG};
DROP TEXT SEARCH DICTIONARY {CONFIG}_stem;
"""


def words_of(text: str) -> str:
    """SQL that makes plain words of the SQL expression `text`.

    PostgreSQL's parser would take `black/white` for a file and `sofa.It` for a host. So all but
    letters and digits becomes a space, `men's` becomes `mens`, and `36in` and `8x10` are parted.
    """
    # To ask whether a text is normal is far cheaper than to make it so.
    text = f"CASE WHEN {text} IS NFKC NORMALIZED THEN {text} ELSE normalize({text}, NFKC) END"
    text = rf"regexp_replace({text}, '([[:alpha:]])[''’](?=[[:alpha:]])', '\1', 'g')"
    text = rf"regexp_replace({text}, '[^[:alnum:] ]+', ' ', 'g')"
    text = rf"regexp_replace({text}, '([{UNSPACED}])', ' \1 ', 'g')"
    text = rf"regexp_replace({text}, '([0-9])(?=[[:alpha:]])', '\1 ', 'g')"
    return rf"regexp_replace({text}, '([[:alpha:]])(?=[0-9])', '\1 ', 'g')"


def _weighted(text: str, weight: str) -> str:
    return f"setweight(to_tsvector('{CONFIG}'::regconfig, {words_of(text)}), '{weight}')"


def _noun_of(column: str) -> str:
    """SQL for the word that says what a thing is: in "Oak Desk with Lamp" it is "Desk"."""
    phrase = rf"regexp_replace({column}, '{NOUN_ENDS}.*$', '', 'i')"
    return rf"coalesce(substring({phrase} from '[[:alnum:]]+[^[:alnum:]]*$'), '')"


class _Vector(Func):
    output_field = SearchVectorField()
    template: str

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return f"({self.template})", []


class HeadingVector(_Vector):
    """What a product is: name (B), the noun in it (A), category (C) and the noun in it (D).

    It is short, so it stays in the row's own page, where reading it costs next to nothing.
    """

    template = " || ".join(
        [
            _weighted(_noun_of('"name"'), "A"),
            _weighted('"name"', "B"),
            _weighted('"category"', "C"),
            _weighted(_noun_of('"category"'), "D"),
        ]
    )


class ProductVector(_Vector):
    """Name (A), category (B), description (C) and the parts of the SKU (D)."""

    template = " || ".join(
        [
            _weighted('"name"', "A"),
            _weighted('"category"', "B"),
            _weighted('"description"', "C"),
            _weighted('"sku"', "D"),
        ]
    )
