"""Search: what is found, in which order, and how spelling is corrected."""

from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Company
from accounts.tests.factories import CompanyFactory
from catalog import ranking, row_counts, spelling, tasks, vocabulary_refresh
from catalog.models import Product, VocabularyState, Word
from catalog.search import SearchResult, search

pytestmark = pytest.mark.django_db

MakeProduct = Callable[..., Product]


@pytest.fixture
def make_product(company: Company) -> MakeProduct:
    def product(name: str, category: str = "", description: str = "", **more: Any) -> Product:
        fields = {"company": company, "price": 1, **more}
        return Product.objects.create(
            name=name, category=category, description=description, **fields
        )

    return product


def find(text: str, **more: Any) -> SearchResult:
    return search(Product.objects.public(), text, **more)


def names(text: str, **more: Any) -> list[str]:
    return [product.name for product in find(text, **more).products]


@pytest.fixture
def furniture(make_product: MakeProduct) -> None:
    make_product("Oslo walnut bookcase", "Bookcases", "with five shelves")
    make_product("Bergen bookcase", "Bookcases", "of oak")
    make_product("Walnut bowl", "Kitchen", "for fruit")
    make_product("Velvet sofa", "Sofas", "soft")
    make_product("Sofa cover", "Slipcovers", "fits any sofa")
    make_product("Leather armchair", "Accent Chairs", "")
    vocabulary_refresh.rebuild()


# Order


def test_products_that_match_more_of_the_query_come_first(make_product: MakeProduct) -> None:
    make_product("Lamp", "Lighting", "goes with a walnut bookcase")
    make_product("Shelf", "Bookcases", "walnut")
    make_product("Oslo in walnut", "Bookcases")
    make_product("Walnut bookcase", "Storage")
    make_product("Walnut bowl", "Kitchen")
    make_product("Rug", "Textiles")
    assert names("walnut bookcases") == [
        "Walnut bookcase",
        "Oslo in walnut",
        "Shelf",
        "Lamp",
        "Walnut bowl",
    ]


def test_products_of_the_category_and_with_short_names_come_first(
    make_product: MakeProduct,
) -> None:
    make_product("Oak desk", "Desks")
    make_product("Desk", "Desks")
    make_product("Oak lamp for a desk with two drawers", "Lamps")
    make_product("Desk lamp", "Lamps")
    make_product("Tidy", "Boxes", "for pens on your desk")
    make_product(
        "Shelf", "Boxes", "made of solid beech with three boards, as high as any common desk"
    )
    assert names("desk") == [
        "Desk",
        "Oak desk",
        "Desk lamp",
        "Oak lamp for a desk with two drawers",
        "Tidy",
        "Shelf",
    ]


def test_the_typed_word_comes_before_its_other_spellings(make_product: MakeProduct) -> None:
    make_product("Head set")
    make_product("Headset")
    make_product("Head")
    vocabulary_refresh.rebuild()
    assert names("head set") == ["Head set", "Headset", "Head"]
    assert names("headset") == ["Headset"]


def test_a_rare_word_weighs_more_than_a_common_one(make_product: MakeProduct) -> None:
    for number in range(8):
        make_product(f"Modern table {number}")
    make_product("Turquoise vase")
    vocabulary_refresh.rebuild()
    assert names("turquoise modern thing")[0] == "Turquoise vase"


@pytest.mark.parametrize(
    "text",
    [
        "bookcases",
        "BOOKCASE",
        "a bookcase for the walnut",
        "walnut: bookcase!",
        "book case oslo",
        "oslo book-case",
    ],
)
def test_inflections_and_compounds_match(furniture: None, text: str) -> None:
    assert "Oslo walnut bookcase" in names(text)[:2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ('Table 36" wide', "table 36 inch"),
        ("Table 36in wide", 'table 36"'),
        ("Rug 8x10", "rug 8' x 10'"),
        ("Rug 8 x 10", "8x10 rug"),
        ("Black/white vase", "white vase"),
        ("Men's chair", "mens chair"),
        ("Wall shelves", "wall shelf"),
        ("Grey sofa", "gray sofa"),
        ("Zürich table", "zurich"),
        ("Zurich table", "Zürich"),
        ("Zürich table".encode().decode(), "ZU\u0308RICH"),
        ("Диван угловой", "диван"),
        ("北欧实木椅子", "椅子"),
        ("北欧实木椅子", "椅"),
        ("लकड़ी की कुर्सी", "कुर्सी"),
        ("Straße", "strasse"),
        ("Vitamin C", "c"),
        ("On the road", "the"),
        ("The Who", "the who"),
        ("ﬁne chair", "fine"),
    ],
)
def test_spelling_variants_units_and_scripts_match(
    make_product: MakeProduct, name: str, text: str
) -> None:
    make_product("Lamp")
    make_product(name)
    vocabulary_refresh.rebuild()
    assert names(text) == [name]


# SKU


def test_an_exact_sku_comes_first_and_its_parts_match(make_product: MakeProduct) -> None:
    make_product("AB-12/x spare part")
    make_product("Hinge", sku="AB-12/x")
    make_product("Screw", sku="AB-13/y")
    assert names("ab-12/X")[0] == "Hinge"
    assert names("AB 13") == ["Screw", "AB-12/x spare part", "Hinge"]
    assert names("ab13y")[0] == "Screw"
    make_product("Odd", sku="---")
    assert names("---") == ["Odd"]


def test_an_empty_sku_matches_nothing(make_product: MakeProduct) -> None:
    make_product("Nothing", sku="")
    assert find("!") == SearchResult([], 0)


# Spelling


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("velvt", "velvet"),
        ("boookcase", "bookcase"),
        ("sofaa", "sofa"),
        ("osfa", "sofa"),
        ("walnut bookcsae", "walnut bookcase"),
        ("Walnut, for a boookcase", "walnut, for a bookcase"),
        ("velvetsofa", "velvet sofa"),
    ],
)
def test_unknown_words_are_corrected(furniture: None, text: str, corrected: str) -> None:
    found = find(text)
    assert found.corrected == corrected
    assert [p.pk for p in found.products] == [p.pk for p in find(corrected).products] != []


@pytest.mark.parametrize(
    "text", ["sofa", "walnut sofa", "walnut zzyzx", "bowl bookcase", "deft sofa", "wolf walnut"]
)
def test_known_words_are_not_corrected(furniture: None, text: str) -> None:
    assert find(text).corrected == ""
    assert find(text).total > 0


def test_a_word_that_the_vocabulary_lacks_is_not_corrected(
    furniture: None, make_product: MakeProduct
) -> None:
    make_product("Sofia chair")
    assert find("sofia").corrected == ""
    assert names("sofia") == ["Sofia chair"]


def test_new_words_are_used_for_corrections_at_once(
    furniture: None, make_product: MakeProduct
) -> None:
    make_product("Chandelier")
    assert find("chandeleir").corrected == "chandelier"


def test_search_works_without_a_vocabulary(make_product: MakeProduct) -> None:
    make_product("Oak desk")
    make_product("Oak chair")
    assert names("oak desk") == ["Oak desk", "Oak chair"]
    with patch.object(vocabulary_refresh, "MAX_PRODUCTS_BEFORE_SEARCH", 0):
        assert find("oka").total == 0
        assert names("chai") == ["Oak chair"]
    assert not Word.objects.exists()


def test_prefixes_and_parts_of_a_name_match(make_product: MakeProduct) -> None:
    make_product("Upholstered headboard")
    vocabulary_refresh.rebuild()
    assert names("up") == ["Upholstered headboard"]
    assert names("eadboar") == ["Upholstered headboard"]
    assert names("holster") == ["Upholstered headboard"]


def test_a_word_that_only_deleted_products_have_is_searched_for_as_a_part(
    make_product: MakeProduct,
) -> None:
    gone = make_product("Head")
    make_product("Headboard")
    vocabulary_refresh.rebuild()
    Product.objects.filter(pk=gone.pk).soft_delete()
    assert names("head") == ["Headboard"]


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("", "", 0),
        ("sofa", "sofa", 0),
        ("sofa", "osfa", 1),
        ("sofa", "sof", 1),
        ("chair", "choirs", 2),
        ("", "abc", 3),
    ],
)
def test_the_edit_distance_counts_a_swap_as_one(left: str, right: str, distance: int) -> None:
    assert spelling.edit_distance(left, right) == distance
    assert spelling.edit_distance(right, left) == distance


def test_similar_words_come_nearest_then_same_letter_then_commonest() -> None:
    for word, number in [("chair", 3), ("chairs", 9), ("hair", 99), ("choir", 4), ("stair", 50)]:
        Word.objects.create(word=word, lexeme=word, product_count=number)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL pg_trgm.similarity_threshold = 0.25")
    assert spelling.similar_words("chairr") == ["chairs", "chair"]
    # Trigrams do not match these two words.
    assert spelling.similar_words("chiar") == ["chair"]
    # A word of less than six letters has at most one wrong letter.
    assert spelling.similar_words("chai") == ["chair"]
    assert spelling.similar_words("x1") == spelling.similar_words("qqqqqq") == []


# The vocabulary


def test_a_refresh_reads_the_changed_products(make_product: MakeProduct) -> None:
    tasks.refresh_vocabulary()
    assert not Word.objects.exists()
    for number in range(30):
        make_product(f"Oak desk {number}", "Desks")
    tasks.refresh_vocabulary()
    assert Word.objects.get(word="desk").product_count == 30
    VocabularyState.objects.update(read_until=timezone.now() + timedelta(minutes=2))
    tasks.refresh_vocabulary()
    new = make_product("Pine desk")
    Product.objects.filter(pk=new.pk).update(updated_at=timezone.now() + timedelta(minutes=3))
    tasks.refresh_vocabulary()
    assert Word.objects.get(word="pine").product_count == 1
    # Known words are counted again only when many products have changed.
    assert Word.objects.get(word="desk").product_count == 30


def test_a_full_count_removes_the_words_of_no_product(make_product: MakeProduct) -> None:
    old = make_product("Wicker basket")
    make_product("Oak desk")
    tasks.refresh_vocabulary()
    assert Word.objects.filter(word="wicker").exists()
    Product.objects.filter(pk=old.pk).soft_delete()
    tasks.refresh_vocabulary()
    assert set(Word.objects.values_list("word", flat=True)) == {"oak", "desk"}


# Visibility


def test_only_public_products_are_found(furniture: None, make_product: MakeProduct) -> None:
    gone = make_product("Walnut desk")
    Product.objects.filter(pk=gone.pk).soft_delete()
    make_product("Walnut chest", company=CompanyFactory(is_active=False))
    assert set(names("walnut")) == {"Walnut bowl", "Oslo walnut bookcase"}
    assert names("chest") == []
    assert names("walnut chset") == names("walnut")


def test_filters_restrict_the_results(furniture: None, make_product: MakeProduct) -> None:
    make_product("Walnut stool", price=99)
    cheap = Product.objects.public().filter(price__lt=50)
    assert {p.name for p in search(cheap, "walnut").products} == {
        "Walnut bowl",
        "Oslo walnut bookcase",
    }
    assert search(cheap, "walnut").total == 2
    # The word is known, only not among these products, so it is not corrected.
    assert search(cheap, "stool") == SearchResult([], 0)


# Pages


def read_pages(text: str, size: int) -> list[list[Any]]:
    pages, offset = [], 0
    while page := find(text, offset=offset, limit=size).products:
        pages.append([product.pk for product in page])
        offset += size
    return pages


def test_pages_contain_each_match_once(make_product: MakeProduct) -> None:
    for number in range(12):
        make_product(f"Oak desk {number}", "Desks", "solid")
        make_product(f"Oak shelf {number}", "Shelves", "next to a desk")
    make_product("Rug")
    all_at_once = read_pages("oak desk", 100)[0]
    by_five = list(chain.from_iterable(read_pages("oak desk", 5)))
    assert all_at_once == by_five
    assert len(set(by_five)) == 24 == find("oak desk").total
    assert find("oak desk").is_exact
    assert find("oak desk", offset=24) == SearchResult([], 24)
    assert find("oak desk", offset=10**9) == SearchResult([], 24)
    best = Product.objects.in_bulk(by_five[:12])
    assert {product.category for product in best.values()} == {"Desks"}


def test_equal_matches_come_newest_first(make_product: MakeProduct) -> None:
    ids = [make_product("Oak desk").pk for _ in range(5)]
    assert [product.pk for product in find("oak desk").products] == ids[::-1]


def test_the_total_of_many_matches_is_estimated(make_product: MakeProduct) -> None:
    for number in range(30):
        make_product(f"Oak desk {number}")
    vocabulary_refresh.rebuild()
    with patch.object(ranking, "MAX_RANKED_ROWS", 15), patch.object(ranking, "MIN_SAMPLE_ROWS", 0):
        with patch.object(row_counts, "MAX_COUNTED_ROWS", 10):
            found = find("oak")
            assert found.total >= len(found.products)
            assert not found.is_exact
        assert find("oak 7").products[0].name == "Oak desk 7"
    with patch.object(row_counts, "MAX_COUNTED_ROWS", 10):
        assert not find("oak desk").is_exact
    assert find("oak") == SearchResult(find("oak").products, 30)
    assert find("oak 7") == SearchResult(find("oak 7").products, 30)


@pytest.mark.parametrize("text", ["oak", "oak desk", "oak 7", "oak beech"])
def test_the_total_is_counted_where_not_all_matches_are_ranked(
    make_product: MakeProduct, text: str
) -> None:
    """It is counted if there are few, and known from the last page, whatever is estimated."""
    for number in range(30):
        make_product(f"Oak desk {number}")
    make_product("Beech desk")
    vocabulary_refresh.rebuild()
    total = len(find(text, limit=100).products)
    with patch.object(ranking, "MAX_RANKED_ROWS", 15), patch.object(ranking, "MIN_SAMPLE_ROWS", 0):
        for offset in (0, 20, total):
            found = find(text, offset=offset)
            assert (found.total, found.is_exact) == (total, True)
        with patch.object(row_counts, "MAX_COUNTED_ROWS", 1):
            for offset, limit in ((0, 100), (20, 100)):
                found = find(text, offset=offset, limit=limit)
                assert (found.total, found.is_exact) == (total, True)


@pytest.mark.parametrize("text", ["oak", "oak desk", "oak beech"])
def test_only_a_sample_of_many_matches_is_ranked(make_product: MakeProduct, text: str) -> None:
    """Pages hold each product once, those of the sample first."""
    ids = [UUID(int=number << 8 | (5 if number % 4 else 200)) for number in range(1, 41)]
    for pk in ids:
        make_product("Oak desk", id=pk)
    make_product("Beech desk", id=UUID(int=100 << 8 | 200))
    sample = {pk for pk in ids if pk.int & 255 < 8}
    vocabulary_refresh.rebuild()
    with patch.object(ranking, "MAX_RANKED_ROWS", 20), patch.object(ranking, "MIN_SAMPLE_ROWS", 10):
        pages = [
            [product.pk for product in find(text, offset=offset).products]
            for offset in range(0, 60, 10)
        ]
        found = [product.pk for product in find(text, limit=60).products]
    assert found == [pk for page in pages for pk in page]
    if text == "oak beech":
        # The only product with the rare word comes first.
        assert found[0].int == 100 << 8 | 200
        return
    assert set(found[:30]) == sample
    assert {*ids} <= {*found}


def test_a_sku_also_finds_products_with_all_of_its_words(make_product: MakeProduct) -> None:
    for number in range(12):
        make_product("Oak desk", sku=f"SKU-{number + 100}")
    make_product("Cover", description="for the desk SKU-107")
    found = find("sku-107")
    assert [product.name for product in found.products] == ["Oak desk", "Cover"]
    assert found.total == 2


def test_the_query_count_does_not_grow_with_the_products(
    make_product: MakeProduct, count_queries: Callable[[Callable[[], Any]], int]
) -> None:
    for number in range(3):
        make_product(f"Oak desk {number}")
    few = count_queries(lambda: find("oak desk"))
    for number in range(60):
        make_product(f"Oak desk {number}", "Desks", "desk " * 50)
    assert count_queries(lambda: find("oak desk")) <= few
    assert count_queries(lambda: find(" ".join(f"word{i}" for i in range(500)))) < 60


@pytest.mark.parametrize(
    ("text", "statements"), [("oak", 8), ("oak desk", 8), ("oka dsek", 20), ("zzyzx", 20)]
)
def test_a_search_runs_few_statements(
    make_product: MakeProduct,
    count_queries: Callable[[Callable[[], Any]], int],
    text: str,
    statements: int,
) -> None:
    make_product("Oak desk", "Desks")
    vocabulary_refresh.rebuild()
    assert count_queries(lambda: find(text)) <= statements


# Unusual input


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "'",
        '"',
        "\\",
        "!!",
        "&|!()",
        ":*",
        "a:*b",
        "'; --",
        "%",
        "_",
        "(((",
        "<->",
        "日",
        "🛋️",
        "a" * 10_000,
        "a " * 5_000,
        "oak " * 2000,
        "é" * 300,
        "\u0301",
        "١٢٣",
        "ab\\'c",
        "$$",
        "%s %(x)s",
        "\ufeff",
        "\ud7fb",
        "x'y'z",
        "10'6\"",
    ],
)
def test_unusual_texts_are_valid(make_product: MakeProduct, text: str) -> None:
    make_product("Oak desk")
    assert find(text).total >= 0


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_any_text_is_a_valid_query(furniture: None, text: str) -> None:
    found = find(text, limit=100)
    assert found.total == len(found.products)


@pytest.mark.parametrize("name", ["୦", "٣٤", "a๕", "Regal ٣", "൰", "½", "Ⅷ"])
def test_digits_of_any_script_are_found(make_product: MakeProduct, name: str) -> None:
    product, _ = make_product(name), make_product("Desk")
    assert [found.pk for found in find(name).products] == [product.pk]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_every_name_finds_its_product(make_product: MakeProduct, name: str) -> None:
    product = make_product(name)
    assert product.pk in [found.pk for found in find(name, limit=100).products]
    Product.objects.filter(pk=product.pk).delete()
