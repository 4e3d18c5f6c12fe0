"""Weigh sentences by their position, their form and their role in the text.

A sentence's factor multiplies the value of its words; 0 excludes the sentence. Position matters
in prose, because news states the most important facts first, and does not matter in a dialogue.
"""

import re

from common.ai.extractive.features import WORD
from common.ai.extractive.sentence_roles import SentenceRole, find_role, is_greeting, is_task
from common.ai.text.sentences import Sentence, count_words

MIN_SPOKEN_WORDS = 6  # without fillers; shorter sentences such as "Yeah, okay." are excluded
BROKEN_OFF_FACTOR = 0.8  # for spoken sentences without an end
SPOKEN_TASK_FACTOR = 1.1
KEY_SENTENCE_FACTOR = 1.5  # for prose about an outcome, a figure, a risk or a task
MAX_BRIEF_WORDS = 8  # in a brief sentence: "Sandwiches were served", "Good morning, all"
BRIEF_FACTOR = 0.3  # for brief prose, and for brief spoken greetings
BOILERPLATE_FACTOR = 0.1  # for bylines, "Read more" and greetings in prose
# In prose, the factor falls with the position towards a floor, which is higher for a longer text.
MIN_POSITION_FLOOR, MAX_POSITION_FLOOR = 0.1, 0.6
SENTENCES_PER_FLOOR_UNIT = 500  # a text of 50 sentences has a floor of 0.1

HESITATIONS = {
    "uh", "um", "er", "ah", "oh", "yeah", "yep", "ok", "okay", "mm", "hmm", "mhm", "huh",
}  # fmt: skip
AMBIGUOUS_HESITATIONS = {"um", "er"}  # words of German, "um" also of Portuguese
FILLERS = HESITATIONS | {"well", "so", "right", "and", "but"}
MAX_WORDS_PER_HESITATION = 50  # of speech without speakers' names

_broken_off = re.compile(r"[\w,;:–—-]$")
_boilerplate = re.compile(
    r"(by|von|par|por|photo\w*|image|source|credits?|copyright|updated|published|posted|"
    r"advertisement|read more|related|share|follow us|click|sign up|subscribe|scroll|see also|"
    r"https?|www)\b(?!.{120})|©",
    re.IGNORECASE,
)


def compute_factors(sentences: list[Sentence], *, use_roles: bool = True) -> list[float]:
    """Return the factor of each sentence.

    Without `use_roles` it depends on the sentence's form and position only, not on whether it
    is about an outcome or a task.
    """
    is_spoken = is_speech(sentences)
    if is_spoken:
        lengths = [sum(token not in FILLERS for token in _lower_words(s)) for s in sentences]
        factors = _speech_factors(sentences, lengths)
    else:
        factors = _prose_factors(sentences)
    if not use_roles:
        return factors
    role_factor = _speech_role_factor if is_spoken else _prose_role_factor
    return [f and f * role_factor(s.text) for f, s in zip(factors, sentences, strict=True)]


def _lower_words(sentence: Sentence) -> list[str]:
    return [token.casefold() for token in WORD.findall(sentence.text)]


def is_speech(sentences: list[Sentence]) -> bool:
    """Return whether the text is a dialogue, or speech without the speakers' names."""
    if any(sentence.speaker for sentence in sentences):
        return True
    tokens = [_lower_words(sentence) for sentence in sentences]
    hesitations = HESITATIONS - AMBIGUOUS_HESITATIONS
    count = sum(token in hesitations for row in tokens for token in row)
    return count * MAX_WORDS_PER_HESITATION > sum(map(len, tokens))


def _speech_factors(sentences: list[Sentence], lengths: list[int]) -> list[float]:
    """Return 0 for short sentences, and a lower factor for those broken off.

    `lengths` are in words without fillers. If most sentences are short, the limit is lower.
    """
    min_words = min(MIN_SPOKEN_WORDS, sorted(lengths)[len(lengths) * 3 // 4])
    return [
        0.0 if n < min_words else BROKEN_OFF_FACTOR if _broken_off.search(s.text) else 1.0
        for s, n in zip(sentences, lengths, strict=True)
    ]


def _prose_factors(sentences: list[Sentence]) -> list[float]:
    """Return factors that fall with the position, less in longer texts: a book has no lead."""
    floor = len(sentences) / SENTENCES_PER_FLOOR_UNIT
    floor = min(MAX_POSITION_FLOOR, max(MIN_POSITION_FLOOR, floor))
    return [
        (floor + (1 - floor) / (1 + n)) * _prose_form_factor(s.text)
        for n, s in enumerate(sentences)
    ]


def _prose_form_factor(text: str) -> float:
    if not is_boilerplate(text):
        return 1.0
    return BOILERPLATE_FACTOR if text[-1] in ".!?" else 0.0


def is_boilerplate(text: str) -> bool:
    """Return whether `text` is a byline, "Read more", a greeting or the like."""
    is_brief_greeting = count_words(text) <= MAX_BRIEF_WORDS and is_greeting(text)
    return is_brief_greeting or _boilerplate.match(text) is not None


def _speech_role_factor(text: str) -> float:
    if count_words(text) <= MAX_BRIEF_WORDS and is_greeting(text):
        return BRIEF_FACTOR
    return SPOKEN_TASK_FACTOR if is_task(text) else 1


def _prose_role_factor(text: str) -> float:
    if find_role(text) != SentenceRole.OTHER or is_task(text):
        return KEY_SENTENCE_FACTOR
    return BRIEF_FACTOR if count_words(text) <= MAX_BRIEF_WORDS else 1
