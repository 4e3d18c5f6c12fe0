"""Extract the readable text of HTML: without scripts, menus and notices about cookies.

The standard library's parser takes quadratic time on unclosed tags and comments, and lxml builds a
tree in the worker's memory. This module needs one pass and no tree.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

CELL_SEPARATOR = " | "
BULLET = "- "
MIN_MENU_LINES = 3  # adjacent lines of nothing but links
MAX_MENU_LINE_CHARS = 60
MIN_MAIN_RATIO = 0.5  # of the text inside <main> or <article>; then the rest is left out
MAX_QUOTED_ENDS = 10  # of ">" inside quoted attributes of one tag

_RAW_TAGS = {"script", "style", "title", "textarea", "noscript", "iframe", "xmp", "template"}
_HIDDEN_TAGS = {
    "nav", "aside", "footer", "dialog", "button", "select", "label", "svg", "canvas", "audio",
    "video", "object", "menu", "math", "map",
}  # fmt: skip
_MAIN_TAGS = {"main", "article"}
_VOID_TAGS = {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "source", "area", "base"}
_LINE_TAGS = {"br", "li", "tr", "dt", "dd", "option"}  # end a line, the others a paragraph
_BLOCK_TAGS = _LINE_TAGS | _MAIN_TAGS | {
    "address", "blockquote", "body", "center", "details", "div", "dl", "fieldset", "figcaption",
    "figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "legend",
    "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "ul",
}  # fmt: skip
_PAGE_TAGS = {"html", "body", "main", "article", "form"}  # never hidden for their class

_tag_name = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]{0,40})(?=[\s/>])")
_hidden_attribute = re.compile(
    r"""\s(?:hidden(?=[\s>/=])|aria-hidden\s*=\s*["']?true|style\s*=\s*["'][^"']{0,200}display:\s*none|
    role\s*=\s*["']?(?:navigation|banner|contentinfo|dialog|alertdialog|menu|menubar|search)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_hidden_name = re.compile(
    r"""\s(?:class|id)\s*=\s*(?:["'](?:[^"'<>]{0,500}\s)?|)
    (?:(?:site|page|main|global|top|mw|wp|app|primary|secondary)[-_]?)?
    (?:cookie|consent|gdpr|navbar|navigation|nav|menu|breadcrumb|sidebar|footer|popup|modal|advert|
    newsletter|share|social|skip-?link|toc)s?(?:[-_A-Z\d"'\s>]|(?:banner|bar|notice)\b)""",
    re.VERBOSE,
)
_html_page = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*|<!--.{0,2000}?-->\s*){0,9}<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_html_block_line = re.compile(
    r"\s*</?(?:div|p|table|tr|td|th|ul|ol|li|section|article|main|header|footer|nav|h[1-6]|span|"
    r"meta|link|title|style|script|br|hr|font|center|blockquote|tbody|thead|a|b|strong|em)\b",
    re.IGNORECASE,
)
_closing_tag = re.compile(r"</[a-z][a-z0-9]{0,10}>", re.IGNORECASE)
_huge_reference = re.compile(r"&#\d{8,};?")


def is_html(text: str) -> bool:
    """Return whether `text` is an HTML page or fragment, and not Markdown with some tags."""
    if _html_page.match(text):
        return True
    if not _html_block_line.match(text) or not _closing_tag.search(text):
        return False
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(1 for line in lines if _html_block_line.match(line)) * 2 > len(lines)


def extract_html_text(source: str) -> str:
    """Return the readable text of HTML, with blank lines between paragraphs."""
    for only_content in (True, False):
        lines = list(_Reader(only_content=only_content).read(source))
        if only_content:
            lines = _keep_main(_strip_menus(lines))
        if lines:
            break
    return "".join(
        line.text + ("\n" if line.is_item and after.is_item else "\n\n")
        for line, after in pairwise([*lines, Line("")])
    ).strip()


class Token(NamedTuple):
    """A piece of text, or a tag with its attributes as they stand."""

    text: str
    tag: str = ""
    attributes: str = ""
    is_end: bool = False


class Line(NamedTuple):
    """One line of readable text."""

    text: str
    is_item: bool = False  # of a list or table
    is_menu: bool = False  # it is short and consists of links
    is_main: bool = False


def _tokenize(source: str) -> Iterator[Token]:
    """Yield texts and tags, without comments and declarations, in linear time."""
    lowered = _lower_ascii(source)
    position = 0
    while (start := source.find("<", position)) >= 0:
        if start > position:
            yield Token(source[position:start])
        if source.startswith("<!--", start):
            position = _find_after(source, "-->", start + 4)
        elif source.startswith(("<!", "<?"), start):
            position = _find_after(source, ">", start)
        elif found := _tag_name.match(source, start):
            name, is_end = found[2].lower(), bool(found[1])
            position = _find_tag_end(source, found.end())
            yield Token("", name, source[found.end() : position], is_end)
            if name in _RAW_TAGS and not is_end:
                position = _skip_raw_text(lowered, name, position)
        else:
            yield Token("<")
            position = start + 1
    yield Token(source[position:])


def _lower_ascii(text: str) -> str:
    """Return `text` in lower case, with the same length."""
    return text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})


def _find_after(source: str, end: str, start: int) -> int:
    """Return the index after the next `end`, or the length of `source`."""
    index = source.find(end, start)
    return len(source) if index < 0 else index + len(end)


def _find_tag_end(source: str, start: int) -> int:
    """Return the index after the ">" of a tag, which is not in a quoted attribute."""
    first = end = _find_after(source, ">", start)
    for _ in range(MAX_QUOTED_ENDS):
        if source.count('"', start, end) % 2 == 0 or end == len(source):
            return end
        end = _find_after(source, ">", end)
    return first


def _skip_raw_text(lowered: str, name: str, start: int) -> int:
    """Return the index of the tag that ends a script or the like."""
    index = lowered.find(f"</{name}", start)
    return len(lowered) if index < 0 else index


@dataclass
class _Reader:
    """Collects the lines of a page; `only_content` leaves out its menus and notices."""

    only_content: bool
    hidden_tag: str = ""  # of the open element that is left out
    hidden_depth: int = 0  # of open elements of that name
    main_depth: int = 0
    link_depth: int = 0
    pre_depth: int = 0
    is_item: bool = False

    def read(self, source: str) -> Iterator[Line]:
        """Yield the lines of `source`."""
        self._texts: list[str] = []
        self._prefix, self._link_chars, self._cells = "", 0, 0
        for token in _tokenize(source):
            if self._is_hidden(token):
                continue
            if not token.tag:
                yield from self._read_text(token.text)
            elif token.tag in ("td", "th"):
                self._read_cell(token)
            elif token.tag == "a":
                self.link_depth = 0 if token.is_end else 1
            elif token.tag in _BLOCK_TAGS:
                yield from self._read_block(token)
        yield from self._end_line()

    def _is_hidden(self, token: Token) -> bool:
        """Return whether `token` is in an element that is left out, and count its depth."""
        if not self.hidden_tag:
            if token.is_end or not token.tag or not self._starts_hidden(token):
                return False
            self.hidden_tag = token.tag
        if token.tag == self.hidden_tag:
            self.hidden_depth += -1 if token.is_end else 1
            self.hidden_tag = self.hidden_tag if self.hidden_depth else ""
        return True

    def _starts_hidden(self, token: Token) -> bool:
        tag, attributes = token.tag, " " + token.attributes[:2_000]
        if tag in _VOID_TAGS or not self.only_content or tag in _PAGE_TAGS:
            return False
        if tag in _HIDDEN_TAGS or (tag == "header" and not self.main_depth):
            return True
        return bool(_hidden_attribute.search(attributes) or _hidden_name.search(attributes))

    def _read_text(self, text: str) -> Iterator[Line]:
        text = html.unescape(_huge_reference.sub("\ufffd", text))
        first, *others = text.split("\n") if self.pre_depth else [text]
        self._add(first)
        for line in others:
            yield from self._end_line(is_item=True)
            self._add(line)

    def _add(self, text: str) -> None:
        self._texts.append(text)
        self._link_chars += self.link_depth * _count_letters(text)

    def _read_cell(self, token: Token) -> None:
        if not token.is_end:
            self._texts.append(CELL_SEPARATOR if self._cells else " ")
            self._cells += 1

    def _read_block(self, token: Token) -> Iterator[Line]:
        if self._cells and token.tag not in ("tr", "table", "tbody"):
            self._texts.append(" ")  # a paragraph in a cell
            return
        yield from self._end_line(is_item=self.is_item or token.tag in _LINE_TAGS)
        step = -1 if token.is_end else 1
        self.is_item = token.tag in ("li", "tr", "dd") and not token.is_end
        self._prefix = BULLET if token.tag == "li" and not token.is_end else ""
        if token.tag in _MAIN_TAGS:
            self.main_depth = max(0, self.main_depth + step)
        elif token.tag == "pre":
            self.pre_depth = max(0, self.pre_depth + step)

    def _end_line(self, *, is_item: bool = False) -> Iterator[Line]:
        """Yield the line that has been read, unless it is empty."""
        text = " ".join("".join(self._texts).split())
        letters, is_row = _count_letters(text), self._cells > 1
        if text.strip(" |"):
            is_menu = 0 < letters <= self._link_chars and len(text) <= MAX_MENU_LINE_CHARS
            text = text if is_row else self._prefix + text
            yield Line(text, is_item, is_menu, self.main_depth > 0)
        self._texts, self._link_chars, self._cells = [], 0, 0


def _count_letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _strip_menus(lines: list[Line]) -> list[Line]:
    """Return `lines` without runs of short lines that are nothing but links."""
    kept: list[Line] = []
    run: list[Line] = []
    for line in [*lines, Line("")]:
        if line.is_menu:
            run.append(line)
            continue
        kept += run if len(run) < MIN_MENU_LINES else []
        run = []
        kept.append(line)
    return kept[:-1]


def _keep_main(lines: list[Line]) -> list[Line]:
    """Return the lines of the main part, if it has most of the text."""
    main = [line for line in lines if line.is_main]
    chars = sum(len(line.text) for line in lines)
    return main if sum(len(line.text) for line in main) > chars * MIN_MAIN_RATIO else lines
