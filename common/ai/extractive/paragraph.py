"""Summarise a text in one paragraph of its own sentences: a report by its beginning.

In other texts, each word gets a probability of being in a summary: a logistic model over a few
features, fitted on meetings (`weights.py`). Sentences are selected one by one: the one with the
highest value for its length. A word that is already in the summary counts less.
"""

import math
from collections.abc import Iterable, Iterator

from common.ai.extractive.report import MAX_REPORT_WORDS, is_report, take_beginning
from common.ai.extractive.selection import SentenceSelector
from common.ai.extractive.weights import WEIGHTS, Weights
from common.ai.text.readable_lines import readable_lines
from common.ai.text.sentences import (
    Sentence,
    count_words,
    has_unspaced_script,
    is_dialogue,
    split_sentences,
    truncate,
)

MAX_DIALOGUE_RATIO = 0.5  # of the words; a third has the same ROUGE, but leaves facts out
SHORT_DIALOGUE_WORDS = 20  # a dialogue of up to this many words is returned unchanged
CHECKBOX = "[ ] "


def summarize(text: str, *, max_words: int = 80) -> str:
    """Return sentences of `text`, in its order, as a summary of `max_words` words.

    A text that is short enough is returned whole, with single spaces and without Markdown marks.
    A summary is never longer than its text. Raises ValueError if `text` has no visible character
    or `max_words` is below 1.
    """
    source = validate_source(text, max_words)
    result = join_sentences(select_summary_sentences(text, max_words=max_words))
    # Joined without spaces, some scripts count as more words than their sentences.
    fits = len(result) <= len(source) and count_words(result) <= max_words
    return result if fits else truncate(source, max_words)


def select_summary_sentences(
    text: str, *, max_words: int = 80, weights: Weights = WEIGHTS
) -> list[str]:
    """Return the sentences of a summary of `text`.

    A report is summarised by its beginning, other texts by a selection of their sentences. A
    sentence longer than `max_words` is cut and ends in "…". In a dialogue, a sentence starts
    with its speaker's name unless the one before has the same speaker. The summary is shorter
    than allowed if the other sentences are unimportant. Raises ValueError as `summarize` does.
    """
    source = validate_source(text, max_words)
    max_words = max_summary_words(text, max_words)
    if count_words(source) <= max_words:
        return [_whole_text(text)]
    selected = _take_beginning(text, source, max_words)
    if not selected:
        sentences = split_sentences(text, max_words=max_words)
        selected = SentenceSelector(sentences, weights).select(max_words)
    return list(_add_labels(selected)) or [truncate(source, max_words)]


def _take_beginning(text: str, source: str, max_words: int) -> list[Sentence]:
    """Return the beginning of `text` if it is a report, else []."""
    if count_words(source) > MAX_REPORT_WORDS:
        return []
    sentences = split_sentences(text, max_words=MAX_REPORT_WORDS)
    return take_beginning(sentences, max_words) if is_report(text, sentences) else []


def _whole_text(text: str) -> str:
    """Return `text` in one line, without titles and Markdown marks."""
    lines = [line for raw in text.splitlines() if (line := " ".join(raw.split()))]
    readable = list(readable_lines(text))
    return " ".join(lines) if readable == lines else join_sentences(readable)


def max_summary_words(text: str, max_words: int) -> int:
    """Return the maximum words of a summary: for a dialogue, at most half of its words."""
    if not is_dialogue(readable_lines(text)):
        return max_words
    half = math.ceil(count_words(text) * MAX_DIALOGUE_RATIO)
    return min(max_words, max(SHORT_DIALOGUE_WORDS, half))


def validate_source(text: str, max_words: int) -> str:
    """Return `text` in one line. Raises ValueError if there is nothing to summarise."""
    if max_words < 1:
        raise ValueError("max_words must be at least 1")
    source = " ".join(text.split())
    if not any(map(str.isprintable, source.replace(" ", ""))):
        raise ValueError("nothing to summarise: the text has no visible character")
    return source


def join_sentences(sentences: list[str]) -> str:
    """Return the sentences as prose: without checkboxes, with full stops."""
    texts = [sentence.removeprefix(CHECKBOX) for sentence in sentences]
    return "".join([*map(_add_stop, texts[:-1], texts[1:]), *texts[-1:]]).rstrip()


def _add_stop(sentence: str, after: str) -> str:
    """Return `sentence` with the separator before the next sentence, `after`."""
    last = sentence[-1]
    if has_unspaced_script(last):
        return sentence + "。" * last.isalnum()
    needs_stop = (last.isalnum() or last in ")%") and not after[0].islower()
    return f"{sentence}. " if needs_stop else f"{sentence} "


def _add_labels(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Yield the text of each sentence, with its label where the speaker changes."""
    speaker = ""
    for sentence in sentences:
        yield sentence.text if sentence.speaker == speaker else sentence.label + sentence.text
        speaker = sentence.speaker
