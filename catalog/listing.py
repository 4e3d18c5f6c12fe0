"""A page of products and their total by one statement, as plain values.

Building model instances and compiling the filters twice, for the rows and for the count, is what
most of an uncached list's time goes into.
"""

from typing import Any

from django.db import connection
from django.db.models import QuerySet

COLUMNS = (
    "id",
    "name",
    "description",
    "price",
    "stock",
    "category",
    "sku",
    "created_at",
    "updated_at",
    "company__id",
    "company__code",
    "company__name",
)


def page_and_count(
    products: QuerySet, *, start: int, size: int, at_most: int
) -> tuple[list[dict[str, Any]], int]:
    """The rows from `start` on, as JSON has them, and how many there are, counted to `at_most`.

    `products` are ordered and give `COLUMNS`.
    """
    sql, parameters = products.query.sql_with_params()
    # The same FROM and WHERE serve the count: they begin behind the columns, which hold no query
    # of their own, and end where the order begins.
    condition = sql[sql.index(" FROM ") : sql.rindex(" ORDER BY ")]
    statement = f"""
        SELECT counted.n, page.* FROM
        (SELECT count(*) AS n FROM (SELECT 1{condition} LIMIT %s) AS matches) AS counted
        LEFT JOIN LATERAL ({sql} LIMIT %s OFFSET %s) AS page ON true
    """  # noqa: S608 - made of what the ORM has compiled, with its parameters apart
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, at_most, *parameters, size, start])
        rows = cursor.fetchall()
    return [shown(row[1:]) for row in rows if row[1] is not None], rows[0][0]


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    """A product as JSON has it, from the values of `COLUMNS`."""
    pk, name, text, price, stock, category, sku, created, updated, company, code, company_name = row
    return {
        "id": str(pk),
        "name": name,
        "description": text,
        "price": str(price),
        "stock": stock,
        "category": category,
        "sku": sku,
        "company": {"id": str(company), "code": code, "name": company_name},
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "updated_at": updated.isoformat().replace("+00:00", "Z"),
    }
