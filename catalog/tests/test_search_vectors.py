"""The words that are stored for a text."""

import pytest
from django.db import connection

from catalog.search_vectors import joined_words_of, words_of

pytestmark = pytest.mark.django_db

TEXTS = [
    *("", " ", ",", ".", "Cooling pump", "24.7 '' back cushion", "men's boots", "5' 10''"),
    *("Wi-Fi router (AC/DC), 5 GHz; C++ & C#", "MX500 8x10 36in", "AB-12.34/5"),
    *("978-3-16-148410-0", "-leading and trailing-", "a.,b ..c d.. 1,000 1.50 3.14159"),
    *("sofa.It is soft", "http://example.com/a?b=c&d e@f.org <b>bold</b> &amp;", "a'1 1'a"),
    *("`quoted` 'single' \"double\"", "tab\tand\nline", "x_y __z__", "+5 -5 #1 no.1"),
    *("end.Start U.S.A. e.g. etc.", "rock'n'roll", "@home 50% $5 ~x ^y", "{a}[b]"),
    *("Ünïcödé Wi‑Fi", "½ litre", "พัดลม 扇風機 선풍기", "l’eau d'été", "a\u00adb c\u200bd"),
    *("Ａ１", "İstanbul"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_short_ways_for_ascii_texts_give_the_same_words(text: str) -> None:
    """The rest of the suite tests which words these are."""
    full = f"{words_of('%(text)s::text')} || ' ' || {joined_words_of('%(text)s::text')}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT to_tsvector('bureau', product_words(%(text)s)), to_tsvector('bureau', {full})",
            {"text": text},
        )
        stored, expected = cursor.fetchone()
    assert stored == expected
