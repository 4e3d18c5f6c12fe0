"""Stage the rows of a file: validate each and store it, then find repeated SKUs by one query."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from catalog.import_models import ProductImport
from catalog.imports import uploaded_file
from catalog.imports.errors import FileRefused
from catalog.imports.uploaded_file import Record
from catalog.imports.validation import RowValidator, build_error, to_text
from common.postgres.retries import retry_on_disconnect

# Rows that are validated and committed together.
STAGED_TOGETHER = 10_000
COPY = "COPY catalog_importrow (product_import_id, line, sku, values, cells, errors) FROM STDIN"
# Of the rows with a SKU, the first stays; the others get an error that names its line.
MARK_REPEATED = """
    UPDATE catalog_importrow AS row SET errors = jsonb_build_array(jsonb_build_object(
        'column', %(column)s::text, 'code', 'duplicate', 'value', row.sku,
        'message', format('Line %%s already has this SKU.', repeated.first_line)
    ))
    FROM (
        SELECT id, first_line FROM (
            SELECT id, first_value(line) OVER skus AS first_line, row_number() OVER skus AS number
            FROM catalog_importrow WHERE product_import_id = %(import_id)s AND errors IS NULL
            WINDOW skus AS (PARTITION BY sku ORDER BY id)
        ) AS numbered WHERE number > 1
    ) AS repeated
    WHERE row.id = repeated.id
"""

StagedRow = tuple[int, str, str | None, str | None, str | None]


def stage(job: ProductImport) -> None:
    """Stage all rows of the file, and delete the file.

    A run that continues another one skips the rows that are staged already. Raises `FileRefused`
    if the file can't be read to its end, and `LostLease` if the import was cancelled.
    """
    validator = RowValidator(job.header, job.fields)
    records = islice(uploaded_file.read_records(job), job.total_rows, None)
    while batch := list(islice(records, STAGED_TOGETHER)):
        retry_on_disconnect(partial(_store, job, list(_validate(batch, validator, job))))
        job.total_rows += len(batch)
        _check_row_count(job)
    retry_on_disconnect(partial(_finish, job))


def _check_row_count(job: ProductImport) -> None:
    if job.total_rows > settings.IMPORT_MAX_ROWS:
        message = f"The file has more than {settings.IMPORT_MAX_ROWS:,} rows. Split it."
        raise FileRefused(("too_many_rows", message))


def _validate(
    batch: list[Record], validator: RowValidator, job: ProductImport
) -> Iterator[StagedRow]:
    for line, cells in batch:
        values, errors = validator.validate(cells)
        sku = values.get("sku", "")
        if not sku and not errors:
            errors = [build_error(job.title_of("sku"), "", "required", "The row has no SKU.")]
        if errors:
            yield line, "", None, json.dumps([to_text(cell) for cell in cells]), json.dumps(errors)
        else:
            yield line, str(sku), json.dumps(values), None, None


def _store(job: ProductImport, staged: list[StagedRow]) -> None:
    failed = sum(errors is not None for *_, errors in staged)
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for row in staged:
                copy.write_row((job.pk, *row))
        job.renew(total_rows=F("total_rows") + len(staged), failed=F("failed") + failed)


@transaction.atomic
def _finish(job: ProductImport) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MARK_REPEATED, {"import_id": job.pk, "column": job.title_of("sku")})
        repeated = cursor.rowcount
        # Without statistics the planner would read all products for each batch.
        cursor.execute("ANALYZE catalog_importrow")
    job.chunks.all().delete()  # type: ignore[attr-defined]
    job.finish_staging(failed=F("failed") + repeated)
