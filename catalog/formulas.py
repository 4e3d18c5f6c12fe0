"""Texts that a spreadsheet would run as a formula.

An export puts an apostrophe before a text that begins with one of `FORMULA_STARTS`, as spreadsheets
do themselves, and an import removes it. Texts that begin so already, with apostrophes before, get
one more. So every text comes back as it was.
"""

import re

FORMULA_STARTS = "=+\\-@\t\r\n＝＋－＠"
FORMULA_PATTERN = f"^'*[{FORMULA_STARTS}]"
_formula = re.compile(FORMULA_PATTERN)
_neutralized = re.compile(f"'{FORMULA_PATTERN[1:]}")


def neutralize(text: str) -> str:
    """Return the text with an apostrophe before it if it begins like a formula."""
    return f"'{text}" if _formula.match(text) else text


def neutralize_cell(text: str) -> str:
    """Neutralize a cell of a file, in which a text may be neutralized already."""
    return text if text.startswith("'") else neutralize(text)


def restore(text: str) -> str:
    """Return the text that `neutralize` was given."""
    return text[1:] if text.startswith("'") and _neutralized.match(text) else text
