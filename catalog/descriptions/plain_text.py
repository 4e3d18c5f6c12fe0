"""Remove HTML and Markdown from a description."""

import html
import re

from common.ai.text.markdown import CODE_FENCE, HEADING, is_numbered_list, strip_inline_marks

MAX_ENTITY_LEVELS = 3  # "&amp;lt;b&gt;" hides a tag in two
_hidden = re.compile(r"<(script|style|template)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.S | re.I)
_line_end = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6]|/ul|/ol|/table)\b[^<>]*>", re.I)
_tag = re.compile(r"</?[A-Za-z][^<>]*(?:>|\Z)")
_rule = re.compile(r"[\s|:=_*-]+")
_leftover_marks = re.compile(r"\*\*|__|`+|~~")
_reference = re.compile(r"(\[[^\]\n]{1,200}\])\[[^\]\n]{0,200}\]")
_quotes = re.compile(r"\A(?:\"(.*)\"|\u201c(.*)\u201d|\u201e(.*)\u201c)\Z", re.S)
_blank_lines = re.compile(r"\n{3,}")


def to_plain_text(text: str) -> str:
    """Return what a reader of `text` sees: paragraphs without tags, entities and marks."""
    text = strip_html(text.replace("\r\n", "\n"))
    raw_lines = [line.strip() for line in text.split("\n")]
    numbered = is_numbered_list(raw_lines)
    lines = [_strip_line(line, numbered=numbered) for line in raw_lines if not _is_mark(line)]
    text = _blank_lines.sub("\n\n", "\n".join(lines)).strip()
    if quoted := _quotes.match(text):
        text = next(filter(None, quoted.groups()), "")
    return text.strip()


def strip_html(text: str) -> str:
    """Return `text` without tags, comments, scripts and entities."""
    for _ in range(MAX_ENTITY_LEVELS):
        stripped = _tag.sub("", _line_end.sub("\n", _hidden.sub("", text)))
        if (unescaped := html.unescape(stripped)) == text:
            break
        text = unescaped
    return _tag.sub("", text)


def _is_mark(line: str) -> bool:
    """Return whether a line is only a fence, or a rule of a table or between paragraphs."""
    return bool(CODE_FENCE.match(line) or _rule.fullmatch(line))


def _strip_line(line: str, *, numbered: bool) -> str:
    if line.startswith("|") and line.endswith("|"):
        line = ", ".join(filter(None, (cell.strip() for cell in line.split("|"))))
    line = _reference.sub(r"\1()", HEADING.sub("", line))
    return _leftover_marks.sub("", strip_inline_marks(line, numbered=numbered))
