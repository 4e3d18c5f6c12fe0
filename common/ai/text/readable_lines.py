"""Reduce a text to the lines that hold its sentences."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from common.ai.text import emails, markdown, titles
from common.ai.text.transcripts import parse_transcript
from common.documents.plain_text import unwrap_lines

MAX_REPEATS = 10  # of one line in a text, and of one sentence in a line


@lru_cache(1)  # one summary needs the lines of its text several times
def readable_lines(text: str) -> tuple[str, ...]:
    """Return the lines of `text` with its sentences, or the turns of a transcript."""
    lines = list(limit_repeats(" ".join(line.split()) for line in text.splitlines()))
    if turns := parse_transcript(lines):
        return tuple(turns)
    unquoted = "\n".join(map(emails.strip_quote_marker, lines))
    return tuple(strip_markup(unwrap_lines(unquoted).split("\n")) or filter(None, lines))


def limit_repeats(texts: Iterable[str]) -> Iterator[str]:
    """Yield at most `MAX_REPEATS` equal texts, because page headers repeat.

    Empty lines and code fences are all kept, because their position matters.
    """
    seen: Counter[str] = Counter()
    for text in texts:
        seen[text] += 1
        if seen[text] <= MAX_REPEATS or not text or markdown.CODE_FENCE.match(text):
            yield text


def strip_markup(lines: list[str]) -> list[str]:
    """Return `lines` without Markdown marks and without parts that are not sentences.

    Such parts are titles, tables, code, and the headers and the signature of a mail; each is kept
    if the text has nothing else. Empty lines, which help to find titles, are removed last.
    """
    for strip in (
        markdown.strip_blocks,
        emails.strip_signature,
        emails.strip_headers,
        titles.strip_titles,
    ):
        stripped = strip(lines)
        lines = stripped if any(stripped) else lines
    lines = [line for line in lines if line]
    numbered = markdown.is_numbered_list(lines)
    stripped = [markdown.strip_inline_marks(line, numbered=numbered) for line in lines]
    return list(filter(None, stripped))
