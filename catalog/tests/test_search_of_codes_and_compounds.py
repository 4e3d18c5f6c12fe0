"""Search: joined words, codes, parts of compounds, and words that are not corrected."""

import unicodedata

import pytest

from accounts.models import Company
from catalog import vocabulary_refresh
from catalog.models import Product
from catalog.search import SearchResult, search

PRODUCTS = [
    ("Wi-Fi 6 Router AX3000", "with four antennas", "RT-AX3000"),
    ("T-Shirt men black", "Cotton", "TS-001"),
    ("The book of books", "", "BK-1"),
    ("Winterreifen 205/55 R16", "", "WR-2055516"),
    ("Spaten und Rechen", "", "SR-1"),
    ("ISBN book", "", "978-3-16-148410-0"),
    ("Old paperback", "", "9780806513287"),
    ("7-Up 0.33l", "Can", "7UP-33"),
    ("Chaos Gasket 55/72/8", "Shaft seal", "CG-1"),
    ("A4 paper 80g", "500 sheets", "PAP-80"),
    ("Screw 4x40mm", "", "SC-4-40"),
    ("4K TV", "a screen", "TV-4K"),
    ("Universal charger", "", "UCH-1"),
    ("University hoodie", "", "UH-1"),
    ("C++ Primer", "", "CPP-1"),
    ("C# in Depth", "", "CS-1"),
    ("Kühl\u00adschrank weiß", "", "KS-1"),
    ("กาแฟสด", "กาแฟคั่วกลาง", "TH-1"),
    ("🎉 Party hat", "", "PH-1"),
    ("Sony WH-1000XM5", "", "WH1000XM5/B"),
    ("Bosch machine 1.200 rpm", "", "WM-1200"),
    ("Laptop stand", "", "LS-1"),
    ("Drill bit ½ inch", "", "DB-05"),
]


@pytest.fixture
def products(company: Company) -> None:
    for name, description, sku in PRODUCTS:
        Product.objects.create(
            company=company, name=name, description=description, sku=sku, price=1
        )
    vocabulary_refresh.rebuild()


EXPECTED = {
    # Joined words, in any case and width.
    "Wi-Fi 6 Router AX3000": [
        "wifi",
        "wi fi",
        "WI-FI",
        "ｗｉｆｉ",
        "Wi\u2011Fi",
        "ax3000",
        "rtax3000",
    ],
    "T-Shirt men black": ["tshirt", "t-shirts"],
    # Parts of compounds.
    "Winterreifen 205/55 R16": ["reifen", "winter", "2055516", "205/55"],
    # Codes.
    "ISBN book": [
        "9783161484100",
        "978 3 16 148410 0",
        "ISBN 9783161484100",
        "９７８３１６１４８４１００",
    ],
    "Old paperback": ["978-0-8065-1328-7", "9780806513287"],
    "Chaos Gasket 55/72/8": ["55728", "55-72-8", "55/72/8"],
    "Sony WH-1000XM5": ["wh1000xm5", "WH 1000 XM5", "sony wh1000xm5"],
    "Bosch machine 1.200 rpm": ["1200 rpm", "1200"],
    "A4 paper 80g": ["A4", "a4"],
    "C++ Primer": ["c++", "C++"],
    "C# in Depth": ["c#"],
    "Drill bit ½ inch": ["½", "½ inch", "1/2 inch"],
    # Another word with the same stem comes later.
    "University hoodie": ["university"],
    "Universal charger": ["universal"],
    # Signs that are not shown, scripts without spaces, emoji.
    "Kühl\u00adschrank weiß": [
        "kühlschrank",
        "kuhlschrank",
        unicodedata.normalize("NFD", "Kühlschrank"),
    ],
    "กาแฟสด": ["กาแฟคั่ว"],
    "🎉 Party hat": ["🎉"],
    # The other word of the query shows what the misspelt one means.
    "Laptop stand": ["laptop stapd"],
}


@pytest.mark.django_db
def test_the_product_that_is_meant_comes_first(products: None) -> None:
    found = {
        text: [product.name for product in search(Product.objects.public(), text).products][:1]
        for texts in EXPECTED.values()
        for text in texts
    }
    assert found == {text: [name] for name, texts in EXPECTED.items() for text in texts}


@pytest.mark.django_db
def test_what_only_resembles_a_word_or_code_is_not_found(products: None) -> None:
    texts = "women|boots|stapd|WH-1000XM4|wh1000xm4|9783161484101|55729|cor|mwn".split("|")
    found = {text: search(Product.objects.public(), text) for text in texts}
    assert found == dict.fromkeys(texts, SearchResult([], 0))
