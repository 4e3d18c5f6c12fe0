"""The search vectors of a product, and how its texts are split into words.

The text search configuration `bureau` (`CREATE_CONFIGURATION`, run by the first migration) removes
accents and stems English. It has no stop words, because a stop word of one language is a word of
another ("die"). So all words are stored, and `query_parser` removes stop words from queries.
"""

from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db.models import CharField, Func

CONFIG = "bureau"
PLAIN_CONFIG = "bureau_plain"

# Thai, Lao, Burmese, Khmer, Han, kana and Hangul are written without spaces. Each character is
# stored as a word, and several of them are searched for as a phrase.
UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"

# Soft hyphens, marks that only say where a line may break, and the optional vowels of Hebrew and
# Arabic with its line extender.
OPTIONAL = "\u00ad\u2060\ufeff\u0591-\u05bd\u0640\u064b-\u0652\u0670"
# What people type for an apostrophe; the last is a normalized acute accent.
APOSTROPHES = "['`’‘]| \u0301"
_APOSTROPHES_SQL = APOSTROPHES.replace("'", "''")
# Signs within a word or code, like "Wi-Fi", "AC/DC" and "978-3-16-148410-0". They are left out of
# its joined form. Zero-width spaces are among them, and the slash of a normalized "½".
JOINERS = "\\-/.,_&\u200b-\u200d\u2010-\u2015\u2044"

# What `words_of` and `joined_words_of` change or join in an ASCII text.
_SIGNS_IN_WORDS = "[`''+#]|[[:alpha:]][0-9]|[0-9][[:alpha:]]|[[:alnum:]][-/.,_&]+[[:alnum:]]"

# A description says first what the product is; later words are often about its attributes.
LEAD_WORDS = 8

# Only words with letters beyond ASCII can have accents.
_ASCII = "asciiword, asciihword, hword_asciipart"
_OTHERS = "word, numword, hword, hword_part, numhword, hword_numpart"

CREATE_CONFIGURATION = f"""
CREATE TEXT SEARCH DICTIONARY {CONFIG}_stem (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION {CONFIG} (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION {CONFIG} ALTER MAPPING FOR {_ASCII} WITH {CONFIG}_stem;
ALTER TEXT SEARCH CONFIGURATION {CONFIG} ALTER MAPPING FOR {_OTHERS} WITH unaccent, {CONFIG}_stem;
CREATE TEXT SEARCH CONFIGURATION {PLAIN_CONFIG} (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION {PLAIN_CONFIG} ALTER MAPPING FOR {_OTHERS} WITH unaccent, simple;
"""

DROP_CONFIGURATION = f"""
DROP FUNCTION product_words(text);
DROP TEXT SEARCH CONFIGURATION {PLAIN_CONFIG};
DROP TEXT SEARCH CONFIGURATION {CONFIG};
DROP TEXT SEARCH DICTIONARY {CONFIG}_stem;
"""


def words_of(text: str, *, is_ascii: bool = False) -> str:
    """Return SQL that reduces the SQL expression `text` to plain words.

    PostgreSQL's parser would read `black/white` as a file and `sofa.It` as a host. So everything
    but letters and digits becomes a space, `men's` becomes `mens`, and `36in` and `8x10` are split.
    Each part of `Wi-Fi` is a word; `joined_words_of` returns the whole. With `is_ascii`, steps that
    change no ASCII text are left out.
    """
    text = _without_apostrophes(text if is_ascii else _without_optional(text))
    text = _only_letters_and_digits(text)
    if not is_ascii:
        text = rf"regexp_replace({text}, '([{UNSPACED}])', ' \1 ', 'g')"
    text = rf"regexp_replace({text}, '([0-9])(?=[[:alpha:]])', '\1 ', 'g')"
    return rf"regexp_replace({text}, '([[:alpha:]])(?=[0-9])', '\1 ', 'g')"


def joined_words_of(text: str, *, is_ascii: bool = False) -> str:
    """Return SQL for the joined forms of the words and codes with signs in `text`.

    `Wi-Fi` becomes `WiFi`, `AB-12.34/5` `AB12345`, `1,000` `1000`, and `C++` `Cplusplus`. Other
    words are left out, also decimal numbers, but not codes like `MX500`, which `words_of` splits.
    With `is_ascii`, steps that change no ASCII text are left out.
    """
    text = _without_apostrophes(text if is_ascii else _without_optional(text))
    if not is_ascii:
        text = rf"regexp_replace({text}, '[{UNSPACED}]', ' ', 'g')"
    text = rf"regexp_replace({text}, '[^[:alnum:]+#{JOINERS}]+', ' ', 'g')"
    # Signs around a word, or a full stop before a sentence without a space.
    around = rf"[{JOINERS}]+( |$)|(^| )[+#{JOINERS}]+|[.,](?=[[:upper:]][[:lower:]])"
    text = rf"regexp_replace({text}, '{around}', ' ', 'g')"
    plain = r"(^| )([[:alpha:]]+|[0-9]+([.,][0-9]{1,2})?)(?= |$)"
    text = rf"regexp_replace({text}, '{plain}', ' ', 'g')"
    text = f"replace(replace({text}, '+', 'plus'), '#', 'sharp')"
    return rf"regexp_replace({text}, '[{JOINERS}]', '', 'g')"


def _without_optional(text: str) -> str:
    """Return SQL that normalizes a text and removes optional signs."""
    # Testing whether a text is normalized is far cheaper than normalizing it.
    text = f"CASE WHEN {text} IS NFKC NORMALIZED THEN {text} ELSE normalize({text}, NFKC) END"
    return f"regexp_replace({text}, '[{OPTIONAL}]', '', 'g')"


def _without_apostrophes(text: str) -> str:
    return rf"regexp_replace({text}, '([[:alpha:]])({_APOSTROPHES_SQL})(?=[[:alpha:]])', '\1', 'g')"


def _only_letters_and_digits(text: str) -> str:
    return rf"regexp_replace({text}, '[^[:alnum:] ]+', ' ', 'g')"


def _all_words_of(text: str, *, is_ascii: bool) -> str:
    words = words_of(text, is_ascii=is_ascii)
    return f"{words} || ' ' || {joined_words_of(text, is_ascii=is_ascii)}"


# The words of a text and then the joined forms. Most texts are plain ASCII, whose words need only
# be separated, and the full rules take ten times as long.
CREATE_FUNCTION = rf"""
CREATE OR REPLACE FUNCTION product_words(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF octet_length(value) > length(value) THEN
        RETURN {_all_words_of("value", is_ascii=False)};
    END IF;
    IF value ~ '{_SIGNS_IN_WORDS}' THEN
        RETURN {_all_words_of("value", is_ascii=True)};
    END IF;
    RETURN {_only_letters_and_digits("value")};
END
$$;
"""
# The migration that creates the first vectors runs this, so the function exists before them.
CREATE_CONFIGURATION += CREATE_FUNCTION


def _weighted(text: str, weight: str) -> str:
    return f"setweight(to_tsvector('{CONFIG}'::regconfig, product_words({text})), '{weight}')"


def _last_word_of(column: str) -> str:
    """Return SQL for the last word of a text: a "gaming chair" is a chair."""
    return rf"coalesce(substring({column} from '[[:alnum:]]+[^[:alnum:]]*$'), '')"


def _first_words_of(column: str, number: int) -> str:
    return rf"coalesce(substring({column} from '(?:\S+\s+){{0,{number - 1}}}\S+'), '')"


class SkuCode(Func):
    """A SKU in upper case without signs and spaces, by which people compare SKUs."""

    template = "regexp_replace(upper(%(expressions)s), '[^[:alnum:]]+', '', 'g')"
    output_field = CharField()


class _SearchVector(Func):
    output_field = SearchVectorField()
    template: str

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return f"({self.template})", []


class HeadingVector(_SearchVector):
    """The vector of what names a product, by which search ranks.

    It has the name (A), the category (B), its last word (C) and the first words of the description
    (D). It is short enough to be stored in the row itself, where reading it is cheap.
    """

    template = " || ".join(
        [
            _weighted('"name"', "A"),
            _weighted('"category"', "B"),
            _weighted(_last_word_of('"category"'), "C"),
            _weighted(_first_words_of('"description"', LEAD_WORDS), "D"),
        ]
    )


class ProductVector(_SearchVector):
    """The vector of name (A), category (B), description (C) and the parts of the SKU (D)."""

    template = " || ".join(
        [
            _weighted('"name"', "A"),
            _weighted('"category"', "B"),
            _weighted('"description"', "C"),
            _weighted('"sku"', "D"),
        ]
    )
