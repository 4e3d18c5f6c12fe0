"""Export products as CSV, XLSX or JSON lines.

PostgreSQL sends the rows by `COPY`, so an export takes no more memory for a million rows than for
ten. CSV and XLSX have the fields that an import takes; JSON lines have all public fields.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import psycopg
from django.db import connection, models
from django.db.models import Case, CharField, Expression, F, QuerySet, Value, When
from django.db.models.functions import Concat

from catalog.formulas import FORMULA_PATTERN, neutralize
from catalog.imports.validation import IMPORTED_FIELDS
from catalog.list_query import LOADERS, CompiledQuery
from catalog.models import Product
from catalog.public_fields import COLUMNS, to_json

PART_BYTES = 64 * 1024
MAX_XLSX_ROWS = 1_048_575  # of a sheet, without the header
# The key of the products first, as in most price lists.
EXPORTED_FIELDS = tuple(sorted(IMPORTED_FIELDS, key=lambda name: name != "sku"))


@dataclass(frozen=True, slots=True)
class ExportFormat:
    content_type: str
    export: Callable[[QuerySet], Iterator[bytes]]
    max_rows: int | None = None


def to_csv(products: QuerySet) -> Iterator[bytes]:
    yield ",".join(EXPORTED_FIELDS).encode() + b"\r\n"
    columns = [_neutralized(name) if is_text(name) else F(name) for name in EXPORTED_FIELDS]
    with _copy(products.values_list(*columns), "(FORMAT csv)") as copy:
        yield from _join(copy)


def to_ndjson(products: QuerySet) -> Iterator[bytes]:
    yield from _join(
        json.dumps(to_json(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for row in _read_rows(products.values_list(*COLUMNS))
    )


def to_xlsx(products: QuerySet) -> Iterator[bytes]:
    import xlsxwriter  # deferred: few processes ever need it

    with TemporaryFile() as file:
        options = {"constant_memory": True}
        with xlsxwriter.Workbook(file, options) as workbook:
            sheet = workbook.add_worksheet("Products")
            price_format = workbook.add_format({"num_format": "0.00"})
            for column, name in enumerate(EXPORTED_FIELDS):
                sheet.write_string(0, column, name)
            rows = _read_rows(products.values_list(*EXPORTED_FIELDS))
            for number, row in enumerate(rows, 1):
                for column, value in enumerate(row):
                    if TEXT_COLUMNS[column]:
                        sheet.write_string(number, column, neutralize(value))
                    else:
                        sheet.write_number(number, column, float(value), price_format)
        file.seek(0)
        while part := file.read(PART_BYTES):
            yield part


def is_text(name: str) -> bool:
    return isinstance(Product._meta.get_field(name), models.CharField | models.TextField)


TEXT_COLUMNS = [is_text(name) for name in EXPORTED_FIELDS]
FORMATS = {
    "csv": ExportFormat("text/csv; charset=utf-8", to_csv),
    "xlsx": ExportFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", to_xlsx, MAX_XLSX_ROWS
    ),
    "ndjson": ExportFormat("application/x-ndjson", to_ndjson),
}


def _neutralized(name: str) -> Expression:
    """Return the SQL expression of `neutralize`."""
    return Case(
        When(**{f"{name}__regex": FORMULA_PATTERN}, then=Concat(Value("'"), F(name))),
        default=F(name),
        output_field=CharField(),
    )


@contextmanager
def _copy(rows: QuerySet, options: str) -> Iterator[psycopg.Copy]:
    query = CompiledQuery.from_queryset(rows)
    connection.ensure_connection()
    with psycopg.ClientCursor(connection.connection) as cursor:
        loaders: dict[str, Any] = LOADERS
        for type_name, loader in loaders.items():
            cursor.adapters.register_loader(type_name, loader)
        with cursor.copy(f"COPY ({query.sql}) TO STDOUT {options}", query.parameters) as copy:
            yield copy


def _read_rows(rows: QuerySet) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as `fetch_rows` reads them: ids and prices are texts."""
    types = _read_types(rows)
    with _copy(rows, "") as copy:
        copy.set_types(types)
        yield from copy.rows()


def _read_types(rows: QuerySet) -> list[int]:
    """Return the types of the columns; `COPY` does not tell them."""
    query = CompiledQuery.from_queryset(rows.order_by())
    with connection.cursor() as cursor:
        cursor.execute(f"{query.sql} LIMIT 0", query.parameters)
        return [column.type_code for column in cursor.description]


def _join(lines: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Yield the lines in parts of about `PART_BYTES`."""
    part = bytearray()
    for line in lines:
        part += line
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
