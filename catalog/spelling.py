"""Correcting unknown words by the words of the catalogue."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product

from django.db import connection
from rapidfuzz.distance import OSA

# The number of letters that are missing, extra, wrong or swapped with their neighbour.
edit_distance = OSA.distance

MAX_DISTANCE = 2
# The distance to a word that only continues the typed one: less than two wrong letters.
COMPLETION_DISTANCE = 1.5
MIN_WORD_CHARS = 3
# In a query with known words, unknown ones of at least this length may have two wrong letters.
LONG_WORD_CHARS = 6
MAX_CHOICES_PER_WORD = 3
MAX_CORRECTIONS = 6

# Words with similar trigrams; the session's `pg_trgm.similarity_threshold` applies to `%%`.
SIMILAR = """
    SELECT word, product_count FROM catalog_word
    WHERE word %% %s AND word !~ '[0-9]' ORDER BY similarity(word, %s) DESC LIMIT 50
"""
EXACT = "SELECT word, product_count FROM catalog_word WHERE word = ANY(%s)"


def corrections(text: str, unknown: Iterable[str], *, all_unknown: bool) -> Iterator[str]:
    """Yield the text with its unknown words replaced by known ones, the likeliest first.

    If only some words of the text are unknown (not `all_unknown`), they may be correct although no
    product has them. So fewer of their letters may be wrong.
    """
    limits = {word: MAX_DISTANCE if all_unknown else _max_distance(word) for word in unknown}
    choices = {
        word: similar for word, limit in limits.items() if (similar := similar_words(word, limit))
    }
    if choices:
        misspelled = re.compile(rf"\b({'|'.join(map(re.escape, choices))})\b")
        for words in islice(product(*choices.values()), MAX_CORRECTIONS):
            correct = dict(zip(choices, words, strict=True))
            yield misspelled.sub(lambda match, correct=correct: correct[match[0]], text.lower())


def _max_distance(word: str) -> int:
    return 1 if len(word) < LONG_WORD_CHARS else MAX_DISTANCE


def similar_words(word: str, max_distance: float = MAX_DISTANCE) -> list[str]:
    """Return known words near `word`: nearest first, then same first letter, then commonest.

    A choice may be two words, if only the space between them is missing.
    """
    if len(word) < MIN_WORD_CHARS or not word.isalpha():
        return []
    best = sorted(
        (distance, other[0] != word[0], -count, other)
        for other, (distance, count) in _candidates(word).items()
    )
    return [other for distance, _, _, other in best if distance <= max_distance][
        :MAX_CHOICES_PER_WORD
    ]


def _candidates(word: str) -> dict[str, tuple[float, int]]:
    """Return known words with their distances from `word` and their numbers of products.

    Trigrams miss two swapped letters in a short word, and a missing space between two words. So
    these are generated and looked up exactly.
    """
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    splits = [(word[:i], word[i:]) for i in range(MIN_WORD_CHARS, len(word) - MIN_WORD_CHARS + 1)]
    with connection.cursor() as cursor:
        cursor.execute(SIMILAR, [word, word])
        similar = dict(cursor.fetchall())
        cursor.execute(EXACT, [list(swaps.union(*splits))])
        exact = dict(cursor.fetchall())
    counts = similar | {swap: exact[swap] for swap in swaps & exact.keys()}
    candidates = {other: (_distance(word, other), count) for other, count in counts.items()}
    for left, right in splits:
        if left in exact and right in exact:
            candidates[f"{left} {right}"] = (1.0, min(exact[left], exact[right]))
    return candidates


def _distance(word: str, other: str) -> float:
    edits = edit_distance(word, other)
    return min(edits, COMPLETION_DISTANCE) if other.startswith(word) else edits
