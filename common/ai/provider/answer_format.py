"""Bring a model's answer into the form that the request asked for."""

import re
from collections.abc import Iterator
from itertools import accumulate, takewhile

from common.ai.templates import is_list_wanted
from common.ai.text.chunking import find_sentence_end
from common.ai.text.sentences import count_words, find_cut, truncate
from common.ai.types import SummaryRequest

# Control characters, and direction overrides, which disguise the text after them.
_unprintable = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202d\u202e]")
_space = re.compile(r"\s*")
_last_word = re.compile(r"(?<=\S)\s+\S*\Z|\s+\Z")
_bullet = re.compile(r"^(?:[-*+\u2022\u2023\u25e6\u2013\u2014\u00b7]|\(?\d{1,3}[.)])\s+")


def clean_text(text: str) -> str:
    """Remove what requests and databases can't hold: lone surrogates, control characters."""
    valid = text.encode("utf-8", "replace").decode()
    return _unprintable.sub("", valid.replace("\r\n", "\n"))


def fit_answer(answer: str, request: SummaryRequest) -> tuple[str, str]:
    """Return the answer in the template's form, and a description of what was left out.

    The answer has at most `request.max_words` words. Whole bullets or sentences are left out; only
    a first one that is too long is cut, with an ellipsis. The description is "" if the answer is
    complete.
    """
    is_list = is_list_wanted(request.instructions)
    text = "\n".join(_find_bullets(answer)) if is_list else answer
    if count_words(text) <= request.max_words:
        return text, ""
    fitting = _take_bullets(text, request.max_words) if is_list else ""
    fitting = fitting or take_sentences(text, request.max_words)
    return fitting, f"the end of an answer that was longer than {request.max_words} words"


def remove_unfinished_end(answer: str, *, is_list: bool) -> str:
    """Remove the last, unfinished bullet or sentence of a truncated answer.

    An answer with nothing before it loses its last word, which may be half a one, and ends with an
    ellipsis.
    """
    end = answer.rfind("\n") + 1 if is_list else find_sentence_end(answer, 0, len(answer))
    return answer[:end].rstrip() or f"{_last_word.sub('', answer)}\u2026"


def _find_bullets(answer: str) -> Iterator[str]:
    """Yield the lines as bullets, without an introduction and code fences."""
    lines = [line for raw in answer.splitlines() if not (line := raw.strip()).startswith("```")]
    first = next((n for n, line in enumerate(lines) if _bullet.match(line)), 0)
    has_introduction = all(line.endswith(":") for line in lines[:first] if line)
    for line in lines[first:] if has_introduction else lines:
        if text := _bullet.sub("", line).strip():
            yield f"- {text}"


def _take_bullets(text: str, max_words: int) -> str:
    """Return the first bullets that fit as a whole."""
    lines = text.splitlines()
    sizes = accumulate(map(count_words, lines))
    return "\n".join(lines[: sum(1 for _ in takewhile(lambda size: size <= max_words, sizes))])


def take_sentences(text: str, max_words: int) -> str:
    """Return the first sentences that fit as a whole, or the start of the first one."""
    end = find_cut(text, max_words)
    after = _space.match(text, end)  # a sentence ends where the next one begins
    if whole := text[: find_sentence_end(text, 0, after.end() if after else end)].rstrip():
        return whole
    clipped = truncate(text, max_words)  # the ellipsis may not fit
    return clipped if count_words(clipped) <= max_words else text[:end]
