"""What of a product is searched, as PostgreSQL stores it."""

from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Func


class ProductVector(Func):
    """Name (A), category (B), description (C) and SKU (A) as one tsvector.

    Words are stemmed as English and kept as they are written, so that other languages are found
    at least as written. A SKU is found whole and by its parts: `AB-12/x` as `ab-12/x`, `ab`, `12`
    and `x`.
    """

    output_field = SearchVectorField()
    template = """(
        setweight(to_tsvector('english'::regconfig, "name"), 'A') ||
        setweight(to_tsvector('simple'::regconfig, "name"), 'A') ||
        setweight(to_tsvector('english'::regconfig, "category"), 'B') ||
        setweight(to_tsvector('simple'::regconfig, "category"), 'B') ||
        setweight(to_tsvector('english'::regconfig, "description"), 'C') ||
        setweight(to_tsvector('simple'::regconfig, "description"), 'C') ||
        setweight(array_to_tsvector(array_remove(
            lower("sku") || regexp_split_to_array(lower("sku"), '[^[:alnum:]]+'), '')), 'A')
    )"""

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:
        return self.template, []
