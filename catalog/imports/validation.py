"""Validate the cells of a row by the rules of the API.

The rules are those of `ProductSerializer`, whose fields check every value that is not obviously
valid. Most are, and a check by a field takes four times as long.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import models
from rest_framework import serializers

from catalog.formulas import restore
from catalog.imports.errors import CellError
from catalog.imports.numbers import normalize_number
from catalog.models import Product
from catalog.serializers import ProductSerializer
from common.api.text import shorten

_FIELDS: dict[str, Any] = dict(ProductSerializer().fields.items())
IMPORTED_FIELDS = tuple(name for name, field in _FIELDS.items() if not field.read_only)
READ_ONLY_FIELDS = tuple(name for name in _FIELDS if name not in IMPORTED_FIELDS)
REQUIRED_FIELDS = tuple(name for name in IMPORTED_FIELDS if _FIELDS[name].required)

# A cell of a CSV file is a text. One of an XLSX file may be a number, a boolean, or a time, which
# is a dict (see `xlsx_process`).
Cell = str | int | Decimal | bool | dict[str, str]
Values = dict[str, str | int]
Error = dict[str, str]
Check = Callable[[Cell], str | int | None]

_obvious_decimal = re.compile(r"[0-9]{1,7}(\.[0-9]{1,2})?")
_obvious_integer = re.compile(r"[0-9]{1,9}")


class RowValidator:
    """Validates rows of a file with these columns."""

    def __init__(self, header: Sequence[str], fields: Sequence[str]) -> None:
        self._columns = [
            (title, name, _build_check(name) if name else None)
            for title, name in zip(header, fields, strict=True)
        ]

    def validate(self, cells: Sequence[Cell]) -> tuple[Values, list[Error]]:
        """Return the valid values by field, and the errors.

        A cell that the row lacks, and an empty cell of a number, have no value.
        """
        values: Values = {}
        errors: list[Error] = []
        for (title, name, check), cell in zip(self._columns, cells, strict=False):
            if check is None:
                continue
            try:
                value = check(cell)
            except CellError as error:
                errors.append(build_error(title, cell, error.code, str(error)))
            else:
                if value is not None:
                    values[name] = value
        if any(cell != "" for cell in cells[len(self._columns) :]):
            errors.append(_build_extra_cell_error(cells[len(self._columns) :]))
        return values, errors


def build_error(title: str, cell: Cell, code: str, message: str) -> Error:
    return {"column": title, "code": code, "value": shorten(to_text(cell)), "message": message}


def _build_extra_cell_error(cells: Sequence[Cell]) -> Error:
    extra = next(cell for cell in cells if cell != "")
    return build_error("", extra, "extra_cell", "The row has more cells than the header.")


def _build_check(name: str) -> Check:
    field: Any = _FIELDS[name]
    column: Any = Product._meta.get_field(name)
    if isinstance(field, serializers.DecimalField):
        return partial(_check_number, field, _obvious_decimal, str)
    if isinstance(field, serializers.IntegerField):
        return partial(_check_number, field, _obvious_integer, int)
    return partial(_check_text, field, column, field.max_length or 0)


def _check_text(field: Any, column: models.Field, max_length: int, cell: Cell) -> str:
    if isinstance(cell, bool | dict):
        raise CellError("invalid", f"This cell is {_type_name(cell)}. Format it as a text.")
    text = restore(cell) if isinstance(cell, str) else str(cell)
    is_obvious = text.isascii() and text.isprintable() and 0 < len(text) <= max_length
    if is_obvious and not (text[0] == " " or text[-1] == " "):
        return text
    return str(column.get_prep_value(_run(field, text)))


def _check_number(
    field: Any, obvious: re.Pattern[str], convert: Callable[[Any], str | int], cell: Cell
) -> str | int | None:
    if isinstance(cell, str):
        if obvious.fullmatch(cell):
            return convert(cell)
        cell = cell.strip()
        if not cell:
            return None
        cell = normalize_number(restore(cell))
    elif isinstance(cell, bool | dict):
        raise CellError("invalid", f"This cell is {_type_name(cell)}, and no number.")
    return convert(_run(field, str(cell)))


def _run(field: Any, text: str) -> Any:
    """Return the value that the API would store for `text`."""
    try:
        return field.run_validation(text)
    except serializers.ValidationError as error:
        details: Any = error.detail
        raise CellError(details[0].code, str(details[0])) from None


def _type_name(cell: bool | dict[str, str]) -> str:
    return "TRUE or FALSE" if isinstance(cell, bool) else "a date or time"


def to_text(cell: Cell) -> str:
    """Return a cell as a text that JSON columns accept."""
    if isinstance(cell, dict):
        return cell["time"]
    if isinstance(cell, bool):
        return str(cell).upper()
    return str(cell).replace("\0", "\N{SYMBOL FOR NULL}")
