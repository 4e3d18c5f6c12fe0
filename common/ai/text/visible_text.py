"""Reduce a text to what its reader sees, before it is summarised or sent to a provider."""

import re

from common.ai.text.chat_notices import strip_notices
from common.documents.front_matter import strip_front_matter
from common.documents.html_text import extract_html_text, is_html

# "[//]: # (a comment)", which Markdown does not show
_link_comment = re.compile(
    r"^\[(?://|comment)[^\]\n]{0,40}\]:[ ](?:#|<>)[ ].{0,500}$", re.MULTILINE
)
SOFT_HYPHEN = "\u00ad"  # where a word may be broken; not shown within a line

_mark = re.compile(r"(?P<fence>^[ ]{0,3}(?:```|~~~).*$)|(?P<code>`+)|<!--", re.MULTILINE)


def extract_visible_text(text: str) -> str:
    """Return `text` without front matter, comments, HTML tags and the notices of a chat app.

    A text that has nothing else is returned unchanged.
    """
    visible = strip_front_matter(re.sub("\r\n?", "\n", text))
    if is_html(visible):
        visible = extract_html_text(visible)
    else:
        visible = _strip_comments(_link_comment.sub("", visible))
    visible = strip_notices(visible.replace(SOFT_HYPHEN, "")).strip("\n")
    return visible if visible.strip() else text


def _strip_comments(text: str) -> str:
    """Return `text` without comments, except in code. An unclosed comment is text."""
    kept, position, cursor, in_fence = [], 0, 0, False
    last_end = text.rfind("-->")
    while mark := _mark.search(text, cursor):
        cursor = mark.end()
        if mark["fence"]:
            in_fence = not in_fence
        elif in_fence:
            continue
        elif mark["code"]:
            cursor = _find_code_end(text, mark["code"], cursor)
        elif cursor <= last_end:
            kept.append(text[position : mark.start()])
            position = cursor = text.index("-->", cursor) + 3
    return "".join([*kept, text[position:]])


def _find_code_end(text: str, backticks: str, start: int) -> int:
    """Return the index after the inline code that starts at `start`, or `start` if none does."""
    line_end = text.find("\n", start)
    end = text.find(backticks, start, line_end if line_end >= 0 else len(text))
    return start if end < 0 else end + len(backticks)
