"""The embedded summariser: whole sentences of the text, chosen with numpy and no network.

Each word of the text gets a chance of standing in a summary: a logistic model over a few features
of it, fitted on meetings (`weights.py`). The sentences that hold the most of such words for their
length are taken one by one, a word that is already there being worth less. Where a sentence stands
matters much in prose, as news says first what matters, and nothing in a dialogue.
"""

import heapq
import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.ai.extractive import sentence_roles
from common.ai.extractive.weights import WEIGHTS, Weights
from common.ai.text.markdown import readable
from common.ai.text.sentences import Sentence, clip, cost, is_dialogue, spaceless, split

MODEL = "bureau-extractive-3"

STEM = 6  # letters that tell a word from others: crude, and as good as a stemmer, in any language
DENSITY = 0.85  # the power of a sentence's length that its worth is divided by; 1: short ones win
COMMONPLACE = 0.6  # what "the" counts for beside a word of the matter; ROUGE alone would say 1
SHORT = 6  # words that something said in a dialogue has, "Yeah, okay." being nothing
BRIEF = 8  # words; with no more, "Sandwiches were served" and "Good morning, all" count for ASIDE
ASIDE = 0.3
MATTERS = 1.5  # what a sentence of prose counts for that tells of an outcome, a figure or a risk
TASK = 1.1  # and one that says who has to do something
HALF = 0.5  # of a dialogue; a third would be as good by ROUGE, but leave facts out
CHAT = 20  # words; a dialogue that is no longer comes back as it is
FULL = 0.75  # of its room: from there on, a summary only takes what is worth
DWINDLED = 0.15  # of the best sentence's gain at least: rather shorter than padded
BOX = "[ ] "
CANDIDATES = 1_000  # and one per word of the summary: sentences that are weighed again and again
HUMS = {"uh", "um", "er", "ah", "oh", "yeah", "yep", "ok", "okay", "mm", "hmm", "mhm", "huh"}
WORDS_ELSEWHERE = {"um", "er"}  # in German, and "um" in Portuguese
FILLERS = HUMS | {"well", "so", "right", "and", "but"}

WORD = re.compile(r"""[^\s.,;:!?…"“”„«»()\[\]{}<>|/\\=+*&^%$#@~`。！？，、；：「」।؟،؛–—_-]+""")
_broken_off = re.compile(r"[\w,;:–—-]$")
_boilerplate = re.compile(
    r"(by|von|par|por|photo\w*|image|source|credits?|copyright|updated|published|posted|"
    r"advertisement|read more|related|share|follow us|click|sign up|subscribe|scroll|see also|"
    r"https?|www)\b(?!.{120})|©",
    re.IGNORECASE,
)


class Words(NamedTuple):
    """The words of a text as numbers."""

    rows: list[list[int]]  # per sentence, the words of its label and of itself
    stems: list[str]  # per word
    features: NDArray[np.float64]  # (words, features), as FEATURE_NAMES has them


FEATURE_NAMES = (
    "log_count",
    "log_total",  # of all words of the text
    "first",  # where it stands first, 0 to 1
    "length",  # 1 for a stem of full length
    "digit",
    "speaker",  # it is of a speaker's label
    "uncommon",  # it has no weight of its own
    "uncommon_log_count",
    "uncommon_capital",  # the share of times it has a capital where no sentence begins
)


def summarize(text: str, *, max_words: int = 80) -> str:
    """A summary of `text` in at most `max_words` words: some of its sentences, in its order.

    A text that is short enough comes back as it is, with its spaces normalised and without marks
    of Markdown. Never longer than its source. ValueError if `text` has no visible character or
    `max_words` is below 1.
    """
    source = checked(text, max_words)
    result = joined(top_sentences(text, max_words=max_words))
    return result if len(result) <= len(source) else clip(source, max_words)


def top_sentences(text: str, *, max_words: int = 80, weights: Weights = WEIGHTS) -> list[str]:
    """The sentences of `summarize`, one by one.

    A sentence longer than the summary may be is cut and ends in "…". In a dialogue, a sentence
    bears its speaker's name unless the one before it is of the same speaker. Room is left where
    only sentences remain that matter little. ValueError as above.
    """
    source = checked(text, max_words)
    words = room(text, max_words)
    if cost(source) <= words:
        return [_as_it_is(text)]
    chosen = Draft(split(text, longest=words), weights).filled(words)
    return list(_labelled(chosen)) or [clip(source, words)]


def _as_it_is(text: str) -> str:
    """The whole text in one line, without the marks and titles that it has only as several."""
    lines = [line for raw in text.splitlines() if (line := " ".join(raw.split()))]
    read = list(readable(text))
    return " ".join(lines) if read == lines else joined(read)


def room(text: str, max_words: int) -> int:
    """How long a summary may be: of a chat, people want no more than half."""
    if not is_dialogue(readable(text)):
        return max_words
    return min(max_words, max(CHAT, math.ceil(cost(text) * HALF)))


def checked(text: str, max_words: int) -> str:
    if max_words < 1:
        raise ValueError("max_words must be at least 1")
    source = " ".join(text.split())
    if not any(map(str.isprintable, source.replace(" ", ""))):
        raise ValueError("nothing to summarise: the text has no visible character")
    return source


def joined(sentences: list[str]) -> str:
    """The sentences as prose: boxes to tick go, and what has no stop gets one before the next."""
    said = [sentence.removeprefix(BOX) for sentence in sentences]
    return "".join([*map(_stopped, said[:-1], said[1:]), *said[-1:]]).rstrip()


def _stopped(sentence: str, after: str) -> str:
    last = sentence[-1]
    if spaceless(last):
        return sentence + "。" * last.isalnum()
    ended = not (last.isalnum() or last in ")%") or after[0].islower()
    return f"{sentence} " if ended else f"{sentence}. "


def _labelled(sentences: Iterable[Sentence]) -> Iterator[str]:
    speaker = ""
    for sentence in sentences:
        yield sentence.text if sentence.speaker == speaker else sentence.label + sentence.text
        speaker = sentence.speaker


def stems(tokens: Iterable[str]) -> Iterator[str]:
    """Each token's stem; each character of a token in a script without spaces."""
    for token in tokens:
        if token.isascii() or not spaceless(token):
            yield token.casefold()[:STEM]
        else:
            yield from token


def words_of(sentences: list[Sentence], common: Container[str]) -> Words:
    """The words of `sentences` and their features; `common` stems have weights of their own."""
    numbers: dict[str, int] = {}
    first: list[int] = []
    rows: list[list[int]] = []
    for at, sentence in enumerate(sentences):
        row = stems(WORD.findall(sentence.label + sentence.text))
        rows.append([numbers.setdefault(stem, len(numbers)) for stem in row])
        first += [at] * (len(numbers) - len(first))
    names = list(numbers)
    count = np.bincount([word for row in rows for word in row], minlength=len(names))
    place = np.array(first) / len(sentences)
    return Words(rows, names, _features(names, count, place, sentences, common))


def _features(
    names: list[str],
    count: NDArray[np.int64],
    place: NDArray[np.float64],
    sentences: list[Sentence],
    common: Container[str],
) -> NDArray[np.float64]:
    capitals, labels = _capitals(sentences), _label_stems(sentences)
    uncommon = np.array([name not in common for name in names], float)
    columns = [
        np.log(count),
        np.full(len(names), np.log(max(1, count.sum()))),
        place,
        np.array([len(name) / STEM for name in names]),
        np.array([name.isdigit() for name in names], float),
        np.array([name in labels for name in names], float),
        uncommon,
        uncommon * np.log(count),
        uncommon * [capitals[name] for name in names] / count,
    ]
    return np.stack(columns, axis=1)


def _capitals(sentences: list[Sentence]) -> Counter[str]:
    inner = (token for s in sentences for token in WORD.findall(s.text)[1:])
    return Counter(stems(token for token in inner if token[0].isupper()))


def _label_stems(sentences: list[Sentence]) -> set[str]:
    return {stem for label in {s.label for s in sentences} for stem in stems(WORD.findall(label))}


def _values(words: Words, weights: Weights) -> list[list[float]]:
    """Per word the worth of having it once, of having it twice besides, and so on."""
    logit = words.features @ [weights.features[name] for name in FEATURE_NAMES]
    logit += [weights.common.get(stem, 0.0) for stem in words.stems]
    slope, offset = np.array(weights.steps).T
    chances = 1 / (1 + np.exp(-np.outer(logit, slope) - offset))
    factor = np.array([COMMONPLACE if stem in weights.common else 1.0 for stem in words.stems])
    worth: list[list[float]] = (chances * factor[:, None]).tolist()
    return worth


class Draft:
    """A summary in the making: greedy, by gain for length, in n log n.

    `standing` is what each sentence's words are multiplied by, 0 keeping it out. With `mark`, the
    words of a bullet or so, each sentence stands by itself, with a mark and its speaker's name, and
    all the room is used.
    """

    def __init__(
        self,
        sentences: list[Sentence],
        weights: Weights = WEIGHTS,
        *,
        standing: list[float] | None = None,
        mark: int | None = None,
    ) -> None:
        words = words_of(sentences, weights.common)
        self.sentences = sentences
        self.rows = words.rows
        self.values = _values(words, weights)
        self.standing = standing_of(sentences) if standing is None else standing
        self.mark = mark
        self.lengths = [cost(s.text) for s in sentences]
        self.labels = [cost(s.label) for s in sentences]
        self.chosen: list[int] = []
        self.seen: Counter[int] = Counter()

    def filled(self, left: int) -> list[Sentence]:
        """The sentences that make the most of `left` words, in the text's order.

        What a sentence would gain only falls as others are taken, so that a gain computed
        before is a bound, and only the best of the heap needs computing again.
        """
        gains = [(-self._gain(i), i) for i in self._candidates()]
        heap = heapq.nsmallest(CANDIDATES + left, gains)  # sorted, and so a heap
        least = -heap[0][0] * DWINDLED if heap and self.mark is None else 0.0
        spare = left * (1 - FULL)
        while heap and left > 0:
            i = heap[0][1]
            if (needed := self._needed(i)) > left:
                heapq.heappop(heap)
            elif (gain := self._gain(i)) < -heap[0][0]:
                heapq.heapreplace(heap, (-gain, i))
            elif gain < least and left < spare:
                break
            else:
                heapq.heappop(heap)
                self.chosen.insert(bisect(self.chosen, i), i)
                self.seen.update(self.rows[i])
                left -= needed
        return [self.sentences[i] for i in self.chosen]

    def _candidates(self) -> list[int]:
        """Those with a standing, the first of equal ones."""
        first: dict[str, int] = {}
        for i, sentence in enumerate(self.sentences):
            if self.standing[i]:
                first.setdefault(sentence.text, i)
        return list(first.values())

    def _gain(self, i: int) -> float:
        total = 0.0
        here: dict[int, int] = {}
        for word in self.rows[i]:
            times = here[word] = here.get(word, self.seen[word] - 1) + 1
            values = self.values[word]
            total += values[times] if times < len(values) else values[-1] / times
        return self.standing[i] * total / (self.lengths[i] + self.labels[i]) ** DENSITY

    def _needed(self, i: int) -> int:
        """The words that sentence i adds, with the label that it or the next one needs then."""
        if self.mark is not None:
            return self.lengths[i] + self.labels[i] + self.mark
        at = bisect(self.chosen, i)
        speaker = self.sentences[i].speaker
        before = self.sentences[self.chosen[at - 1]].speaker if at else ""
        needed = self.lengths[i] + self.labels[i] * (speaker != before)
        if at < len(self.chosen):
            after = self.sentences[self.chosen[at]].speaker
            needed += self.labels[self.chosen[at]] * ((after != speaker) - (after != before))
        return needed


def standing_of(sentences: list[Sentence], *, cued: bool = True) -> list[float]:
    """What each sentence's words are multiplied by; 0 keeps it out.

    Not `cued`, it goes by what a sentence is and where it stands, and not by what it tells of.
    """
    tokens = [[t.casefold() for t in WORD.findall(s.text)] for s in sentences]
    hums = sum(t in HUMS - WORDS_ELSEWHERE for row in tokens for t in row)
    spoken = any(s.speaker for s in sentences) or hums * 50 > sum(map(len, tokens))
    if spoken:
        standing = _spoken(sentences, [sum(t not in FILLERS for t in row) for row in tokens])
    else:
        standing = _written(sentences)
    if not cued:
        return standing
    cue = _cue_of_talk if spoken else _cue_of_prose
    return [n and n * cue(s.text) for n, s in zip(standing, sentences, strict=True)]


def _cue_of_talk(text: str) -> float:
    if cost(text) <= BRIEF and sentence_roles.is_greeting(text):
        return ASIDE
    return TASK if sentence_roles.is_task(text) else 1


def _cue_of_prose(text: str) -> float:
    if sentence_roles.matter(text) != sentence_roles.OTHER or sentence_roles.is_task(text):
        return MATTERS
    return ASIDE if cost(text) <= BRIEF else 1


def _spoken(sentences: list[Sentence], said: list[int]) -> list[float]:
    """Sentences that say something and are not broken off; where all are short, the longer ones."""
    least = min(SHORT, sorted(said)[len(said) * 3 // 4])
    return [
        0.0 if n < least else 0.8 if _broken_off.search(s.text) else 1.0
        for s, n in zip(sentences, said, strict=True)
    ]


def _written(sentences: list[Sentence]) -> list[float]:
    """The inverted pyramid, the flatter the longer the text is: a book has no lead."""
    floor = min(0.6, max(0.1, len(sentences) / 500))
    return [
        (floor + (1 - floor) / (1 + i)) * _worth_reading(s.text) for i, s in enumerate(sentences)
    ]


def _worth_reading(text: str) -> float:
    if cost(text) <= BRIEF and sentence_roles.is_greeting(text):
        return 0.1
    if not _boilerplate.match(text):
        return 1.0
    return 0.1 if text[-1] in ".!?" else 0.0
