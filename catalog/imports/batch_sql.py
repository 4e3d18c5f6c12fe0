"""The statements of a batch. They name the columns by the fields that the API can write.

`comparison` is a temporary table of the batch's rows with the product of each. All parameters are
those of `batches.Batch`.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.db import connection

from catalog.import_models import ProductImport
from catalog.imports.validation import IMPORTED_FIELDS, REQUIRED_FIELDS
from catalog.models import Product
from common.events.bulk import changes_as_sql

STAGED = (
    "row.product_import_id = %(import_id)s AND row.id BETWEEN %(first_id)s AND %(last_id)s "
    "AND row.errors IS NULL AND row.conflicts IS NULL"
)
# The conditions of the unique index, so that it is used.
LIVE = "product.company_id = %(company_id)s AND product.deleted_at IS NULL AND product.sku <> ''"

# In the order of their ids, as all that lock several products do.
LOCK_PRODUCTS = f"""
    SELECT product.id FROM catalog_product AS product
    WHERE {LIVE} AND product.sku IN (SELECT row.sku FROM catalog_importrow AS row WHERE {STAGED})
    ORDER BY product.id FOR NO KEY UPDATE
"""  # noqa: S608
COUNT = """
    SELECT count(*) FILTER (WHERE NOT has_conflict AND product_id IS NULL),
        count(*) FILTER (WHERE NOT has_conflict AND product_id IS NOT NULL AND is_changed),
        count(*) FILTER (WHERE NOT has_conflict AND product_id IS NOT NULL AND NOT is_changed),
        count(*) FILTER (WHERE has_conflict)
    FROM comparison
"""
DROP_COMPARISON = "DROP TABLE comparison"
DELETE_DONE_ROWS = f"""
    DELETE FROM catalog_importrow AS row WHERE {STAGED}
"""  # noqa: S608


def create_comparison(columns: list[str]) -> str:
    """Return the statement that creates `comparison`; a null value leaves a column as it is."""
    values = ", ".join(f'"{name}" {_types()[name]}' for name in IMPORTED_FIELDS)
    changed = _list_columns(columns, 'coalesce("values"."{0}", product."{0}")')
    return f"""
        CREATE TEMPORARY TABLE comparison AS
        SELECT row.id AS row_id, "values".*, product.id AS product_id, false AS has_conflict,
            ROW({_list_columns(columns, 'product."{0}"')}) IS DISTINCT FROM ROW({changed})
                AS is_changed
        FROM catalog_importrow AS row
        CROSS JOIN LATERAL jsonb_to_record(row.values) AS "values" ({values})
        LEFT JOIN catalog_product AS product ON {LIVE} AND product.sku = row.sku
        WHERE {STAGED}
    """  # noqa: S608


def find_conflicts(mode: str) -> str:
    """Return the statement that stores why rows can't be imported in this mode."""
    errors = list(_list_conflicts(mode))
    conditions = " OR ".join(f"({condition})" for condition, _ in errors)
    cases = " || ".join(
        f"CASE WHEN {condition} THEN jsonb_build_array({error}) ELSE '[]' END"
        for condition, error in errors
    )
    return f"""
        WITH conflicting AS (
            UPDATE comparison SET has_conflict = true WHERE {conditions} RETURNING *
        )
        UPDATE catalog_importrow AS row SET conflicts = {cases}
        FROM conflicting AS comparison WHERE row.id = comparison.row_id
    """  # noqa: S608


def _list_conflicts(mode: str) -> Iterable[tuple[str, str]]:
    """Yield pairs of the condition of an error, and the error as an SQL expression."""
    if mode == ProductImport.Mode.UPDATE:
        message = "The company has no product with this SKU."
        yield "comparison.product_id IS NULL", _sku_error("does_not_exist", message)
        return
    if mode == ProductImport.Mode.CREATE:
        message = "The company already has a product with this SKU."
        yield "comparison.product_id IS NOT NULL", _sku_error("unique", message)
    for name in REQUIRED_FIELDS:
        if name != "sku":
            condition = f'comparison.product_id IS NULL AND comparison."{name}" IS NULL'
            message = "A new product needs this value."
            yield condition, _error(f"'{name}'", "required", "''", message)


def _sku_error(code: str, message: str) -> str:
    return _error("%(sku_column)s::text", code, "comparison.sku", message)


def _error(column: str, code: str, value: str, message: str) -> str:
    return (
        f"jsonb_build_object('column', {column}, 'code', '{code}', 'value', {value}, "
        f"'message', '{message}')"
    )


def update_products(columns: list[str]) -> str:
    written = [name for name in columns if name != "sku"]
    assignments = _list_columns(written, '"{0}" = coalesce(comparison."{0}", product."{0}")')
    return f"""
        UPDATE catalog_product AS product SET {assignments}, updated_at = statement_timestamp()
        FROM comparison WHERE product.id = comparison.product_id
            AND comparison.is_changed AND NOT comparison.has_conflict
    """  # noqa: S608


def select_updates(columns: list[str]) -> str:
    """Return the query of the products to update, for `record_query`."""
    changes = changes_as_sql(
        Product,
        {
            name: (f'product."{name}"', f'coalesce(comparison."{name}", product."{name}")')
            for name in columns
            if name != "sku"
        },
    )
    return f"""
        SELECT product.id, product.name, {changes}
        FROM catalog_product AS product JOIN comparison ON product.id = comparison.product_id
        WHERE comparison.is_changed AND NOT comparison.has_conflict
        ORDER BY comparison.row_id
    """  # noqa: S608


SELECT_INSERTED = """
    SELECT id, name, '{}'::jsonb FROM catalog_product WHERE id = ANY(%(ids)s) ORDER BY id
"""


def insert_products(columns: list[str]) -> str:
    """Return the statement that inserts the new products, with `ids` in the order of the rows.

    They are inserted in the order of their SKUs, so that two imports can't wait for each other.
    """
    names = _list_columns(IMPORTED_FIELDS, '"{0}"')
    values = ", ".join(map(_value_of_new_product, IMPORTED_FIELDS))
    return f"""
        INSERT INTO catalog_product (id, created_at, updated_at, company_id, {names})
        SELECT new.id, statement_timestamp(), statement_timestamp(), %(company_id)s, {values}
        FROM (
            SELECT *, row_number() OVER (ORDER BY row_id) AS number FROM comparison
            WHERE product_id IS NULL AND NOT has_conflict
        ) AS comparison
        JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS new (id, number) USING (number)
        ORDER BY comparison.sku
        ON CONFLICT (company_id, sku) WHERE deleted_at IS NULL AND NOT sku = '' DO NOTHING
    """  # noqa: S608


def _value_of_new_product(name: str) -> str:
    if name in REQUIRED_FIELDS:
        return f'comparison."{name}"'
    default = _column(name).get_default()
    return f"coalesce(comparison.\"{name}\", '{default}')"


def _list_columns(names: Iterable[str], template: str) -> str:
    return ", ".join(template.format(name) for name in names)


@cache
def _types() -> dict[str, str]:
    return {name: str(_column(name).db_type(connection)) for name in IMPORTED_FIELDS}


def _column(name: str) -> Any:
    return Product._meta.get_field(name)
