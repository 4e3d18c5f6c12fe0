"""Remove headers, quote markers and signatures of mails."""

import re

from common.ai.text.markdown import BULLET, LIST_NUMBER
from common.ai.text.transcripts import SENTENCE_END

MAX_SIGNATURE_LINES = 8  # below "--"

_quote_marker = re.compile(r"(?:>\s?)+")
_header = re.compile(
    r"(from|to|cc|subject|date|sent|von|an|betreff|datum|gesendet|de|à|objet|envoyé|asunto|para|"
    r"fecha)\s?: ",
    re.IGNORECASE,
)
_reply_intro = re.compile(r".{0,200}\b(?:wrote|schrieb|a écrit|escribió)\b.{0,80}:$")


def strip_quote_marker(line: str) -> str:
    """Return `line` without the ">" of a quotation at its start."""
    return _quote_marker.sub("", line, count=1) if line[:1] == ">" else line


def strip_signature(lines: list[str]) -> list[str]:
    """Return `lines` without the signature of a mail.

    It starts at the last "--" and has neither sentences nor list items.
    """
    if "--" not in lines[-MAX_SIGNATURE_LINES - 1 :]:
        return lines
    last = len(lines) - 1 - lines[::-1].index("--")
    tail = lines[last + 1 :]
    if any(SENTENCE_END.search(s) or BULLET.match(s) or LIST_NUMBER.match(s) for s in tail):
        return lines
    return lines[:last]


def strip_headers(lines: list[str]) -> list[str]:
    """Return `lines` without mail headers such as "From: …" and without "Bob wrote:".

    Headers are adjacent to each other, and each occurs once in the text.
    """
    keys = [found[1].casefold() if (found := _header.match(line)) else "" for line in lines]
    unique = [bool(key) and keys.count(key) == 1 for key in keys]
    has_neighbour = [
        a or b for a, b in zip([False, *unique[:-1]], [*unique[1:], False], strict=True)
    ]
    return [
        line
        for n, line in enumerate(lines)
        if not ((unique[n] and has_neighbour[n]) or _reply_intro.match(line))
    ]
