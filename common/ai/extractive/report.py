"""Summarise a report by its beginning.

News and other reports state the most important facts first. No selection of their sentences was
as good as their beginning at every length (`benchmarks/summariser.md`).
"""

import re

from common.ai.extractive.sentence_factors import is_boilerplate, is_speech
from common.ai.extractive.sentence_roles import SentenceRole, find_role, is_greeting, is_task
from common.ai.text.sentences import Sentence, count_words, cut_words, parse_speaker_label

# Shorter prose is more often a mail or a note; longer prose, such as a book, has no lead.
MIN_REPORT_WORDS, MAX_REPORT_WORDS = 150, 2_000
MAX_KEY_RATIO = 0.4  # of the sentences that are a task or an outcome; minutes have more
MIN_CUT_WORDS = 3  # of the sentence that fills the summary
MAX_LIST_ITEMS = 2  # notes and minutes have more

# The start of a mail: its salutation, or the headers of a forwarded one.
_mail_start = re.compile(
    r"(?:dear|liebe[rs]?|sehr geehrte[rs]?|cher|chère|querid[oa]|estimad[oa]s?|car[oi])\s|"
    r"(?:from|to|subject|von|an|betreff|de|à|objet|para|asunto):\s",
    re.IGNORECASE,
)
_list_item = re.compile(r"^\s{0,8}(?:[-*•]|\d{1,2}[.)])\s", re.MULTILINE)


def is_report(text: str, sentences: list[Sentence]) -> bool:
    """Return whether `text` is prose that tells the most important facts first.

    In minutes, mails and talks, people look for decisions and tasks at any place.
    """
    lengths = [count_words(sentence.text) for sentence in sentences]
    if not MIN_REPORT_WORDS <= sum(lengths) <= MAX_REPORT_WORDS or is_speech(sentences):
        return False
    if _is_addressed(text.lstrip()) or len(_list_item.findall(text)) > MAX_LIST_ITEMS:
        return False
    return sum(_is_key(s.text) for s in sentences) <= len(sentences) * MAX_KEY_RATIO


def _is_addressed(text: str) -> bool:
    """Return whether `text` starts as a mail does, or with the name of its speaker."""
    speaker, _ = parse_speaker_label(text.split("\n", 1)[0])
    is_spoken = bool(speaker) and not speaker.isupper()  # "LONDON: " is no speaker
    return is_spoken or is_greeting(text) or _mail_start.match(text) is not None


def _is_key(text: str) -> bool:
    return is_task(text) or find_role(text) == SentenceRole.OUTCOME


def take_beginning(sentences: list[Sentence], max_words: int) -> list[Sentence]:
    """Return the first sentences, without bylines and the like; the last one is cut to fit."""
    taken: list[Sentence] = []
    words_left = max_words
    for sentence in sentences:
        if is_boilerplate(sentence.text):
            continue
        words = count_words(sentence.text)
        if words > words_left:
            if words_left >= min(MIN_CUT_WORDS, max_words):
                taken.append(sentence._replace(text=cut_words(sentence.text, words_left)))
            break
        taken.append(sentence)
        words_left -= words
    return taken
