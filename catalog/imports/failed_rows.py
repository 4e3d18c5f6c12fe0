"""The failed rows of an import as a CSV file that can be corrected and imported again."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from catalog.formulas import neutralize, neutralize_cell
from catalog.import_models import ImportRow, ProductImport
from catalog.imports.columns import ERROR_COLUMN

PAGE_ROWS = 2_000


def read_csv(product_import: ProductImport) -> Iterator[bytes]:
    """Yield the parts of the file: the columns as they were sent, and the errors of each row."""
    yield _to_csv([[*map(neutralize_cell, product_import.header), ERROR_COLUMN]])
    rows = ImportRow.objects.filter(product_import=product_import).failed().order_by("id")
    last_id = 0
    while page := list(rows.filter(id__gt=last_id)[:PAGE_ROWS]):
        yield _to_csv([_to_record(row, product_import) for row in page])
        last_id = page[-1].pk


def _to_record(row: ImportRow, product_import: ProductImport) -> list[str]:
    if row.cells is not None:
        cells = [neutralize_cell(cell) for cell in row.cells]
    else:
        values: dict[str, Any] = row.values or {}
        cells = [neutralize(str(values.get(name, ""))) for name in product_import.fields]
    width = len(product_import.header)
    cells = [*cells[:width], *[""] * (width - len(cells))]
    errors = "; ".join(_describe(error) for error in row.errors or row.conflicts or [])
    return [*cells, neutralize(f"Line {row.line}: {errors}")]


def _describe(error: dict[str, str]) -> str:
    return f"{error['column']}: {error['message']}" if error["column"] else error["message"]


def _to_csv(records: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(records)
    return text.getvalue().encode()
