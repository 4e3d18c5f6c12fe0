"""Numbers as people write them: "1.234,56 €", "$1,234.56", "1 234,56"."""

import re

from catalog.imports.errors import CellError

_CURRENCY_SIGNS = "$¢-¥฿₠-⃀﷼＄￠￡￥￦"
_CURRENCY = rf"(?:[{_CURRENCY_SIGNS}]|[A-Z]{{2,3}}(?:[{_CURRENCY_SIGNS}])?|Kč|zł|kr\.?|Fr\.)"
_amount = re.compile(rf"\s*(?:{_CURRENCY}\s*)?(-?[\d\s.,'’]*\d)(?:\s*{_CURRENCY}|,-|\.-)?\s*")
# White space, no-break spaces included, and apostrophes between groups of three digits.
_grouping_space = re.compile(r"(?<=\d)[\s'’](?=\d{3}(?!\d))")
_grouped = {sign: re.compile(rf"-?\d{{1,3}}(?:[{sign}]\d{{3}})+") for sign in ".,"}


def normalize_number(text: str) -> str:
    """Return a number with a decimal point, without currency and separators of thousands.

    A text that is no such number is returned unchanged. Raises `CellError` for one that can be read
    in two ways, such as "1.234".
    """
    match = _amount.fullmatch(text)
    if match is None:
        return text
    number = _grouping_space.sub("", match[1])
    signs = [char for char in number if char in ".,"]
    if not signs:
        return number
    decimal_sign = signs[-1]
    if len(set(signs)) == 1:
        if len(signs) > 1:
            grouped = _grouped[decimal_sign].fullmatch(number)
            return number.replace(decimal_sign, "") if grouped else text
        if _is_ambiguous(number, decimal_sign):
            raise _ambiguous_error(number, decimal_sign)
        return number.replace(decimal_sign, ".")
    whole, _, decimals = number.rpartition(decimal_sign)
    group_sign = "," if decimal_sign == "." else "."
    if decimal_sign in whole or not _grouped[group_sign].fullmatch(whole):
        return text
    return f"{whole.replace(group_sign, '')}.{decimals}"


def _is_ambiguous(number: str, sign: str) -> bool:
    """Return whether the sign may separate thousands as well as decimals."""
    return bool(_grouped[sign].fullmatch(number)) and not number.lstrip("-").startswith("0")


def _ambiguous_error(number: str, sign: str) -> CellError:
    as_thousands, as_decimals = number.replace(sign, ""), number.replace(sign, ".")
    return CellError(
        "ambiguous",
        f"This may be {as_thousands} or {as_decimals}. Write it without a separator of thousands.",
    )
