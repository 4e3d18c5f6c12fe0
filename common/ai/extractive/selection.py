"""Select the sentences of a summary greedily, by the value that each adds for its length."""

import heapq
from bisect import bisect
from collections import Counter

from common.ai.extractive.features import build_word_table, compute_word_values
from common.ai.extractive.sentence_factors import compute_factors
from common.ai.extractive.weights import WEIGHTS, Weights
from common.ai.text.sentences import Sentence, count_words

LENGTH_EXPONENT = 0.85  # a gain is divided by length to this power; 1 favours short sentences
MIN_CANDIDATES = 1_000  # and one more per word of the summary; the other sentences are ignored
# A summary that has FULL_RATIO of its words ends when the next gain is below MIN_GAIN_RATIO of the
# best, so that it is not padded.
FULL_RATIO = 0.75
MIN_GAIN_RATIO = 0.15


class SentenceSelector:
    """Selects the sentences of one summary, in O(n log n).

    `factors` multiply the value of each sentence's words; 0 excludes a sentence. In a `standalone`
    layout, such as bullets, each sentence has its speaker's name and `extra_words` more words, and
    the summary uses all the words that are allowed.
    """

    def __init__(
        self,
        sentences: list[Sentence],
        weights: Weights = WEIGHTS,
        *,
        factors: list[float] | None = None,
        standalone: bool = False,
        extra_words: int = 0,
    ) -> None:
        words = build_word_table(sentences, weights.common)
        self._sentences = sentences
        self._rows = words.rows
        self._values = compute_word_values(words, weights)
        self._factors = compute_factors(sentences) if factors is None else factors
        self._standalone, self._extra_words = standalone, extra_words
        self._lengths = [count_words(s.text) for s in sentences]
        self._label_lengths = [count_words(s.label) for s in sentences]
        self._selected: list[int] = []  # in the order of the text
        self._seen: Counter[int] = Counter()  # words of the selected sentences

    def select(self, max_words: int) -> list[Sentence]:
        """Return the best sentences that fit `max_words`, in the order of the text.

        Gains only fall while sentences are selected, so an earlier gain is an upper bound, and
        only the sentence at the top of the heap needs a new one.
        """
        gains = [(-self._gain(n), n) for n in self._candidates()]
        heap = heapq.nsmallest(MIN_CANDIDATES + max_words, gains)  # sorted, and so a heap
        min_gain = -heap[0][0] * MIN_GAIN_RATIO if heap and not self._standalone else 0.0
        words_left, spare_words = max_words, max_words * (1 - FULL_RATIO)
        while heap and words_left > 0:
            n = heap[0][1]
            if (added_words := self._added_words(n)) > words_left:
                heapq.heappop(heap)
            elif (gain := self._gain(n)) < -heap[0][0]:
                heapq.heapreplace(heap, (-gain, n))
            elif gain < min_gain and words_left < spare_words:
                break
            else:
                heapq.heappop(heap)
                self._add(n)
                words_left -= added_words
        return [self._sentences[n] for n in self._selected]

    def _candidates(self) -> list[int]:
        """Return the sentences that are not excluded, the first of equal ones."""
        first: dict[str, int] = {}
        for n, sentence in enumerate(self._sentences):
            if self._factors[n]:
                first.setdefault(sentence.text, n)
        return list(first.values())

    def _add(self, n: int) -> None:
        self._selected.insert(bisect(self._selected, n), n)
        self._seen.update(self._rows[n])

    def _gain(self, n: int) -> float:
        """Return the value that sentence `n` adds, for its length."""
        total = 0.0
        occurrences: dict[int, int] = {}
        for word in self._rows[n]:
            count = occurrences[word] = occurrences.get(word, self._seen[word] - 1) + 1
            values = self._values[word]
            total += values[count] if count < len(values) else values[-1] / count
        length = self._lengths[n] + self._label_lengths[n]
        return self._factors[n] * total / length**LENGTH_EXPONENT

    def _added_words(self, n: int) -> int:
        """Return the number of words that sentence `n` adds, with changes of labels."""
        if self._standalone:
            return self._lengths[n] + self._label_lengths[n] + self._extra_words
        place = bisect(self._selected, n)
        speaker = self._sentences[n].speaker
        before = self._sentences[self._selected[place - 1]].speaker if place else ""
        words = self._lengths[n] + self._label_lengths[n] * (speaker != before)
        if place < len(self._selected):
            following = self._selected[place]
            after = self._sentences[following].speaker
            words += self._label_lengths[following] * ((after != speaker) - (after != before))
        return words
