"""Search by words and by meaning.

A product has a score for its words and one for its meaning, and is ordered by their sum. What words
find comes first where it has all words of the query; a product with one chance word does not hide
the one that is meant.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

from catalog.embeddings import Neighbour, find_nearest, find_serving_model
from catalog.models import EmbeddingModel, Product
from catalog.query_embeddings import embed_query
from catalog.querysets import ProductQuerySet
from catalog.search import SearchResult, search
from catalog.similarity_scale import SimilarityScale
from catalog.word_coverage import compute_coverage

Way = Literal["words", "meaning"]

# So many results of words and of meaning are ordered together. Further results of words follow.
MAX_WORD_HITS = 100
MAX_MEANING_HITS = 100
# A product counts as found by meaning if it is at least this near, compared with the nearest.
MIN_SHARE_OF_NEAREST = 0.6
# The most that words, the place among their results, and meaning add to a score of 0 to 1.
WORDS_WEIGHT, PLACE_WEIGHT, MEANING_WEIGHT = 0.3, 0.65, 0.05
# What meaning adds besides, the more of it the more words are missing.
MISSING_WORDS_WEIGHT = 0.3
# A product with half of the words counts less than half: its words may be there by chance.
COVERAGE_EXPONENT = 2
# The same for some words of a corrected query: the correction may be wrong, as for a query in a
# language that the products don't have.
COVERAGE_EXPONENT_IF_CORRECTED = 4


class Hit(NamedTuple):
    """A product, how it was found, and its score from 0 to 1."""

    id: UUID
    matched_by: list[Way]
    score: float


@dataclass(frozen=True, slots=True)
class SmartResult:
    """A page of results.

    `total` is the number of all results, counted (`is_exact`) or estimated. `corrected` is the
    query by whose words products were found, if not as typed. `is_complete` is false if nothing
    could be found by meaning: the provider did not answer, or no product is embedded yet.
    """

    items: list[tuple[Product, Hit]]
    total: int
    is_exact: bool
    corrected: str
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Meaning:
    """The products near a query, each with the strength of the match (0 to 1)."""

    strengths: dict[UUID, float]
    is_known: bool = True

    def nearest(self) -> float:
        """Return the strength of the best match; of two spellings, the right one has a better."""
        return max(self.strengths.values(), default=0.0)


def smart_search(
    products: ProductQuerySet, text: str, *, offset: int = 0, limit: int = 10
) -> SmartResult:
    """Return the products among `products` that match `text`, best first, from `offset` on."""
    candidates = products.select_related(None).only("pk")
    words = search(candidates, text, limit=MAX_WORD_HITS)
    meaning = _find_by_meaning(candidates, text)
    if words.corrected:
        meaning = max(meaning, _find_by_meaning(candidates, words.corrected), key=Meaning.nearest)
    query = words.corrected or text
    later = _find_later_word_hits(candidates, query, words, meaning)
    hits = _merge(words, meaning, later, query)
    page = hits[offset : offset + limit]
    has_more = len(words.products) == MAX_WORD_HITS
    if len(page) < limit and has_more:
        start = MAX_WORD_HITS + max(0, offset - len(hits))
        others = candidates.exclude(pk__in=later)
        rest = search(others, text, offset=start, limit=limit - len(page))
        page += [Hit(product.pk, ["words"], 0.0) for product in rest.products]
    rows = products.order_by().in_bulk([hit.id for hit in page])
    return SmartResult(
        items=[(rows[hit.id], hit) for hit in page if hit.id in rows],
        total=sum(hit.matched_by == ["meaning"] for hit in hits)
        + (words.total if has_more else len(words.products)),
        is_exact=words.is_exact or not has_more,
        corrected=words.corrected,
        is_complete=meaning.is_known,
    )


def _find_by_meaning(products: ProductQuerySet, text: str) -> Meaning:
    model = find_serving_model()
    vector = model and embed_query(text, model=model.name)
    if not model or not vector:
        return Meaning({}, is_known=False)
    neighbours = find_nearest(products, vector, model=model.name, limit=MAX_MEANING_HITS)
    return Meaning(_measure_strengths(neighbours, model))


def _measure_strengths(neighbours: list[Neighbour], model: EmbeddingModel) -> dict[UUID, float]:
    """Return the strengths of those products that are near enough."""
    assert model.similarity_floor is not None
    assert model.similarity_ceiling is not None
    scale = SimilarityScale(model.similarity_floor, model.similarity_ceiling)
    nearest = neighbours[0].similarity if neighbours else 0.0
    floor = max(scale.floor, MIN_SHARE_OF_NEAREST * nearest)
    return {pk: scale.strength(near) for pk, near in neighbours if near > floor}


def _find_later_word_hits(
    products: ProductQuerySet, query: str, words: SearchResult, meaning: Meaning
) -> set[UUID]:
    """Return the products found by meaning that words find too, but after `MAX_WORD_HITS`."""
    others = meaning.strengths.keys() - {product.pk for product in words.products}
    if len(words.products) < MAX_WORD_HITS or not others:
        return set()
    found = search(products.filter(pk__in=others), query, limit=MAX_MEANING_HITS)
    return {product.pk for product in found.products}


def _merge(words: SearchResult, meaning: Meaning, later: set[UUID], query: str) -> list[Hit]:
    """Return the results of both, the highest score first."""
    places = {product.pk: i / MAX_WORD_HITS for i, product in enumerate(words.products)}
    places |= dict.fromkeys(later, 1.0)
    exponent = COVERAGE_EXPONENT_IF_CORRECTED if words.corrected else COVERAGE_EXPONENT
    shares = {pk: share**exponent for pk, share in compute_coverage(places, query).items()}
    hits = [
        _combine(pk, shares.get(pk), places.get(pk, 1.0), meaning.strengths.get(pk))
        for pk in shares.keys() | meaning.strengths.keys()
    ]
    return sorted(hits, key=lambda hit: (-hit.score, -hit.id.int))


def _combine(pk: UUID, share: float | None, place: float, strength: float | None) -> Hit:
    """Return a product with its score.

    share: how much of the query its words are; None if words don't find it.
    place: where they find it, from 0 (first) to 1.
    strength: how near its meaning is; None if meaning does not find it.
    """
    ways: dict[Way, float | None] = {"words": share, "meaning": strength}
    by_words, by_meaning = share or 0.0, strength or 0.0
    score = by_words * (WORDS_WEIGHT + PLACE_WEIGHT * (1 - place))
    score += by_meaning * (MEANING_WEIGHT + MISSING_WORDS_WEIGHT * (1 - by_words))
    return Hit(pk, [way for way, found in ways.items() if found is not None], score)
