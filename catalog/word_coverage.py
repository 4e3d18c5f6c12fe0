"""How much of a query a product that words have found has."""

from collections.abc import Collection
from functools import reduce
from operator import add
from uuid import UUID

from django.contrib.postgres.search import SearchQueryField
from django.db.models import BooleanField, Case, Expression, F, Func, Value, When
from django.db.models.functions import Cast

from catalog.models import Product
from catalog.query_parser import parse_query
from catalog.search_terms import Term, to_terms


def compute_coverage(ids: Collection[UUID], text: str) -> dict[UUID, float]:
    """Return the share of the query's words that each product has, from 0 to 1.

    A rare word counts more than a common one. A query without words is covered: it was found by
    its signs or as a SKU.
    """
    [terms] = to_terms([parse_query(text)])
    if not terms or not ids:
        return dict.fromkeys(ids, 1.0)
    total = sum(term.weight for term in terms)
    share = reduce(add, [_share(term, total) for term in terms])
    rows = Product.objects.filter(pk__in=ids).order_by().annotate(coverage=share)
    return dict(rows.values_list("pk", "coverage"))


def _share(term: Term, total: float) -> Expression:
    query = Cast(Value(term.lexemes), SearchQueryField())
    # The function of the operator @@, whose lookup would parse the query again.
    has_term = Func(F("search_vector"), query, function="ts_match_vq", output_field=BooleanField())
    return Case(When(has_term, then=Value(term.weight / total)), default=Value(0.0))
