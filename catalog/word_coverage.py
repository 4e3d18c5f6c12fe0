"""How much of a query a product that words have found has."""

from collections.abc import Collection
from functools import reduce
from math import log
from operator import add
from uuid import UUID

from django.db.models import Case, Expression, Value, When

from catalog.models import Product
from catalog.query_parser import parse_query
from catalog.search_terms import LexemeQuery, Term, to_terms


def compute_coverage(ids: Collection[UUID], text: str) -> dict[UUID, float]:
    """Return the share of the query's words that each product has, from 0 to 1.

    A rare word counts more than a common one. A query without words is covered: it was found by
    its signs or as a SKU.
    """
    terms = to_terms(parse_query(text))
    if not terms or not ids:
        return dict.fromkeys(ids, 1.0)
    total = sum(map(_weigh, terms))
    share = reduce(add, [_share(term, total) for term in terms])
    rows = Product.objects.filter(pk__in=ids).order_by().annotate(coverage=share)
    return dict(rows.values_list("pk", "coverage"))


def _weigh(term: Term) -> float:
    """Return the inverse document frequency of a word."""
    return log(1 + (term.total_products + 1) / (term.product_count + 1))


def _share(term: Term, total: float) -> Expression:
    has_term = When(search_vector=LexemeQuery(term.lexemes), then=Value(_weigh(term) / total))
    return Case(has_term, default=Value(0.0))
