"""Correcting unknown words by the words of the catalogue."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product

from django.db import connection
from rapidfuzz.distance import OSA

# The number of letters that are missing, extra, wrong or swapped with their neighbour.
edit_distance = OSA.distance

MAX_DISTANCE = 2
# The distance to a word that only continues the typed one: less than two wrong letters.
COMPLETION_DISTANCE = 1.5
# The distance to a short word with another letter that people rarely type by mistake. Only the
# other words of a query can show that it is meant: "laptop stapd".
UNLIKELY_DISTANCE = 1.25
# Almost all shorter words are near another word.
MIN_WORD_CHARS = 4
# Words of at least this length may have two wrong letters.
LONG_WORD_CHARS = 6
MIN_PART_CHARS = 3
# The least letters of a compound's last word, and of what comes before it.
MIN_HEAD_CHARS, MIN_HEAD_PREFIX_CHARS = 4, 4
# Letters that sound alike, and rows of the keyboard.
SOUNDS = ("aeiouy", "bp", "ckqsxz", "dt", "fv", "gj", "mn")
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
MAX_CHOICES_PER_WORD = 3
MAX_CORRECTIONS = 6

EXACT = "SELECT word, product_count FROM catalog_word WHERE word = ANY(%s)"
# Or words with similar trigrams; the session's `pg_trgm.similarity_threshold` applies to `%%`.
SIMILAR = f"""
    {EXACT} UNION (
        SELECT word, product_count FROM catalog_word
        WHERE word %% %s AND word !~ '[0-9]' ORDER BY similarity(word, %s) DESC LIMIT 50
    )
"""  # noqa: S608
# PostgreSQL's stemmers have lists of stop words, and return no lexeme for one.
STOP_WORDS = """
    SELECT word FROM unnest(%s::text[]) word WHERE EXISTS (
        SELECT FROM pg_ts_dict
        WHERE dictname ~ '^(danish|dutch|english|french|german|italian|norwegian|portuguese'
                         '|russian|spanish|swedish)_stem$' AND ts_lexize(oid, word) = '{}'
    )
"""


def corrections(text: str, unknown: Iterable[str], *, has_known_words: bool) -> Iterator[str]:
    """Yield the text with its unknown words replaced by known ones, the likeliest first."""
    choices = {
        word: similar
        for word in unknown
        if (similar := similar_words(word, has_known_words=has_known_words))
    }
    if choices:
        misspelled = re.compile(rf"\b({'|'.join(map(re.escape, choices))})\b")
        for words in islice(product(*choices.values()), MAX_CORRECTIONS):
            correct = dict(zip(choices, words, strict=True))
            yield misspelled.sub(lambda match, correct=correct: correct[match[0]], text.lower())


def can_correct(word: str) -> bool:
    """Whether a word is corrected: codes and very short words are not."""
    return len(word) >= MIN_WORD_CHARS and word.isalpha()


def similar_words(word: str, *, has_known_words: bool = False) -> list[str]:
    """Return known words near `word`: nearest first, then same first letter, then commonest.

    A choice may be two words, if only the space between them is missing. Without a near word it is
    the last word of a compound: "lamp" for "bureaulamp". `has_known_words` says whether the query
    has other words that are known.
    """
    if not can_correct(word):
        return []
    max_distance: float = UNLIKELY_DISTANCE if has_known_words else 1
    if len(word) >= LONG_WORD_CHARS:
        max_distance = MAX_DISTANCE
    best = sorted(
        (distance, other[0] != word[0], -count, other)
        for other, (distance, count) in _candidates(word).items()
        if distance <= max_distance
    )
    nearest = _without_stop_words([other for *_, other in best])
    return nearest[:MAX_CHOICES_PER_WORD] or _heads(word)


def _candidates(word: str) -> dict[str, tuple[float, int]]:
    """Return known words with their distances from `word` and their numbers of products.

    Trigrams miss two swapped letters in a short word, and a missing space between two words. So
    these are generated and looked up exactly.
    """
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    splits = [(word[:i], word[i:]) for i in range(MIN_PART_CHARS, len(word) - MIN_PART_CHARS + 1)]
    exact = [*swaps, *chain.from_iterable(splits)]
    with connection.cursor() as cursor:
        cursor.execute(SIMILAR, [exact, word, word])
        counts = dict(cursor.fetchall())
    candidates = {other: (_distance(word, other), count) for other, count in counts.items()}
    for left, right in splits:
        if left in counts and right in counts:
            candidates[f"{left} {right}"] = (0.0, min(counts[left], counts[right]))
    return candidates


def _heads(word: str) -> list[str]:
    """Return the longest known word that a compound ends with, if there is one."""
    last_start = len(word) - MIN_HEAD_CHARS
    ends = [word[i:] for i in range(MIN_HEAD_PREFIX_CHARS, last_start + 1)]
    known = _known(ends)
    return [end for end in ends if end in known][:1]


def _known(words: list[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(EXACT, [words])
        return dict(cursor.fetchall())


def _without_stop_words(words: list[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(STOP_WORDS, [words])
        stop_words = {word for (word,) in cursor.fetchall()}
    return [word for word in words if word not in stop_words]


def _distance(word: str, other: str) -> float:
    edits = edit_distance(word, other)
    if edits == 1 and len(word) < LONG_WORD_CHARS and not _is_likely(word, other):
        return UNLIKELY_DISTANCE
    return min(edits, COMPLETION_DISTANCE) if other.startswith(word) else edits


def _is_likely(word: str, other: str) -> bool:
    """Whether one edit of a short word is a likely mistake.

    Another letter is one only if it sounds alike or is the next key: "boots" are not "books".
    """
    wrong = [pair for pair in zip(word, other, strict=False) if pair[0] != pair[1]]
    if len(word) != len(other) or len(wrong) != 1:
        return True
    return any({*wrong[0]} <= {*group} for group in SOUNDS) or _are_neighbours(*wrong[0])


def _are_neighbours(left: str, right: str) -> bool:
    places = {key: (x, y) for y, row in enumerate(KEYBOARD) for x, key in enumerate(row)}
    if left not in places or right not in places:
        return True
    (left_x, left_y), (right_x, right_y) = places[left], places[right]
    return abs(left_x - right_x) <= 1 and abs(left_y - right_y) <= 1
