"""The words of a text, their features, and the value of each in a summary."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.ai.extractive.weights import Weights
from common.ai.text.sentences import Sentence, has_unspaced_script

STEM_CHARS = 6  # words are equal if these first characters are: as good as a stemmer here
COMMON_WORD_FACTOR = 0.6  # multiplies the value of words such as "the"; 1 has the best ROUGE

WORD = re.compile(r"""[^\s.,;:!?…"“”„«»()\[\]{}<>|/\\=+*&^%$#@~`。！？，、；：「」।؟،؛–—_-]+""")

FEATURE_NAMES = (
    "log_count",
    "log_total",  # the number of all words of the text
    "first",  # position of the first occurrence, 0 to 1
    "length",  # 1 for a stem of STEM_CHARS
    "digit",
    "speaker",  # the word is part of a speaker's label
    "uncommon",  # the word has no weight of its own
    "uncommon_log_count",
    "uncommon_capital",  # share of occurrences with a capital, the start of sentences left out
)


class WordTable(NamedTuple):
    """The words of a text, each as a number from 0."""

    rows: list[list[int]]  # per sentence, the words of its label and of its text
    stems: list[str]  # per word
    features: NDArray[np.float64]  # shape (words, features), in the order of FEATURE_NAMES


def stem_tokens(tokens: Iterable[str]) -> Iterator[str]:
    """Yield the stem of each token; in scripts without spaces, each character."""
    for token in tokens:
        if token.isascii() or not has_unspaced_script(token):
            yield token.casefold()[:STEM_CHARS]
        else:
            yield from token


def build_word_table(sentences: list[Sentence], common: Container[str]) -> WordTable:
    """Return the words of `sentences`; those in `common` have their own weights."""
    numbers: dict[str, int] = {}
    first_sentences: list[int] = []  # per word
    rows: list[list[int]] = []
    for n, sentence in enumerate(sentences):
        stems = stem_tokens(WORD.findall(sentence.label + sentence.text))
        rows.append([numbers.setdefault(stem, len(numbers)) for stem in stems])
        first_sentences += [n] * (len(numbers) - len(first_sentences))
    stems_by_number = list(numbers)
    counts = np.bincount([word for row in rows for word in row], minlength=len(numbers))
    positions = np.array(first_sentences) / len(sentences)
    features = _build_features(stems_by_number, counts, positions, sentences, common)
    return WordTable(rows, stems_by_number, features)


def _build_features(
    stems: list[str],
    counts: NDArray[np.int64],
    positions: NDArray[np.float64],
    sentences: list[Sentence],
    common: Container[str],
) -> NDArray[np.float64]:
    capitals, label_stems = _count_capitals(sentences), _collect_label_stems(sentences)
    uncommon = np.array([stem not in common for stem in stems], float)
    columns = [
        np.log(counts),
        np.full(len(stems), np.log(max(1, counts.sum()))),
        positions,
        np.array([len(stem) / STEM_CHARS for stem in stems]),
        np.array([stem.isdigit() for stem in stems], float),
        np.array([stem in label_stems for stem in stems], float),
        uncommon,
        uncommon * np.log(counts),
        uncommon * [capitals[stem] for stem in stems] / counts,
    ]
    return np.stack(columns, axis=1)


def _count_capitals(sentences: list[Sentence]) -> Counter[str]:
    """Count the stems that have a capital although they do not start a sentence."""
    tokens = (token for s in sentences for token in WORD.findall(s.text)[1:])
    return Counter(stem_tokens(token for token in tokens if token[0].isupper()))


def _collect_label_stems(sentences: list[Sentence]) -> set[str]:
    labels = {sentence.label for sentence in sentences}
    return {stem for label in labels for stem in stem_tokens(WORD.findall(label))}


def compute_word_values(words: WordTable, weights: Weights) -> list[list[float]]:
    """Return per word the value of its first, second, third… occurrence in a summary.

    It is the probability that a summary written by a person has the word that often.
    """
    logit = words.features @ [weights.features[name] for name in FEATURE_NAMES]
    logit += [weights.common.get(stem, 0.0) for stem in words.stems]
    slope, offset = np.array(weights.steps).T
    probabilities = 1 / (1 + np.exp(-np.outer(logit, slope) - offset))
    factors = [COMMON_WORD_FACTOR if stem in weights.common else 1.0 for stem in words.stems]
    values: list[list[float]] = (probabilities * np.array(factors)[:, None]).tolist()
    return values
