"""Putting unknown words right by the catalogue's own vocabulary."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product

from django.db import connection

FARTHEST = 2
# A word that only lacks its end is nearer than one with two wrong letters.
COMPLETED = 1.5
SHORTEST = 3
# So long a word may have two letters wrong and still be recognised.
LONG = 6
CHOICES = 3
COMBINATIONS = 6

# Trigrams don't see two swapped letters in a short word, nor a space that was forgotten: those
# are asked for as they would be written. `%%` is what `pg_trgm.similarity_threshold` says.
CANDIDATES = """
    SELECT word, products FROM catalog_word
    WHERE word %% %s AND word !~ '[0-9]' ORDER BY similarity(word, %s) DESC LIMIT 50
"""
EXACT = "SELECT word, products FROM catalog_word WHERE word = ANY(%s)"


def corrections(text: str, unknown: Iterable[str], *, alone: bool) -> Iterator[str]:
    """The text with the unknown words replaced by known ones, the likeliest way first.

    Beside words that are known (not `alone`) an unknown one may well be right, though no product
    has it: then fewer of its letters may be wrong.
    """
    reach = {word: FARTHEST if alone else _reach(word) for word in unknown}
    choices = {word: near for word, far in reach.items() if (near := neighbours(word, far))}
    if choices:
        wrong = re.compile(rf"\b({'|'.join(map(re.escape, choices))})\b")
        for way in islice(product(*choices.values()), COMBINATIONS):
            right = dict(zip(choices, way, strict=True))
            yield wrong.sub(lambda found, right=right: right[found[0]], text.lower())


def _reach(word: str) -> int:
    return 1 if len(word) < LONG else FARTHEST


def neighbours(word: str, farthest: float = FARTHEST) -> list[str]:
    """The known words next to it: nearest first, then same first letter, then the commoner."""
    if len(word) < SHORTEST or not word.isalpha():
        return []
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    parts = [(word[:i], word[i:]) for i in range(SHORTEST, len(word) - SHORTEST + 1)]
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, [word, word])
        near = dict(cursor.fetchall())
        cursor.execute(EXACT, [list(swaps.union(*parts))])
        exact = dict(cursor.fetchall())
    found = near | {swap: exact[swap] for swap in swaps & exact.keys()}
    ranked = {other: (_cost(word, other), -number) for other, number in found.items()}
    for left, right in parts:
        if left in exact and right in exact:
            ranked[f"{left} {right}"] = (1.0, -min(exact[left], exact[right]))
    best = sorted(
        (cost, other[0] != word[0], rare, other) for other, (cost, rare) in ranked.items()
    )
    return [other for cost, _, _, other in best if cost <= farthest][:CHOICES]


def _cost(word: str, other: str) -> float:
    steps = distance(word, other)
    return min(steps, COMPLETED) if other.startswith(word) else steps


def distance(left: str, right: str) -> float:
    """How many letters are missing, too many, wrong or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left):
        older, before, row = before, row, [i + 1]
        for j, b in enumerate(right):
            step = min(before[j] + (a != b), before[j + 1] + 1, row[j] + 1)
            if i and j and a == right[j - 1] and left[i - 1] == b:
                step = min(step, older[j - 1] + 1)
            row.append(step)
    return row[-1]
