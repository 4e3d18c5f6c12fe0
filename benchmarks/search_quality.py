"""Measure how well search ranks a synthetic catalogue with relevance judgements (NDCG@10).

A product has a class and attributes, and a query names a class and some attributes. Judgements
compare classes and attributes, not words. The words differ: names use synonyms of the class, omit
attributes and contain the nouns of other classes ("Sofa Cover"), and descriptions mention other
furniture. Search is compared with `websearch_to_tsquery` and `ts_rank_cd`, and with a ranking in
three tiers.

    python -m benchmarks.search_quality [products [seed]]
"""

import math
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import connection, transaction

from accounts.models import Company
from catalog import vocabulary_refresh
from catalog.models import Product
from catalog.search import search

# Label | nouns in names | family, whose classes are related | names of attributes
CLASSES = """
Accent Chairs|accent chair,armchair,side chair,barrel chair|seating|color,fabric,style
Dining Chairs|dining chair,side chair,parsons chair|seating|color,wood,style
Office Chairs|office chair,task chair,desk chair,executive chair|seating|color,fabric,feature
Recliners|recliner,reclining chair,rocker recliner|seating|color,fabric,feature
Bar Stools|bar stool,counter stool,swivel stool|seating|color,metal,style
Sofas|sofa,couch,settee,chesterfield|sofas|color,fabric,style
Sectionals|sectional,sectional sofa,l-shaped couch|sofas|color,fabric,style
Loveseats|loveseat,settee|sofas|color,fabric,style
Sleeper Sofas|sleeper sofa,sofa bed,futon|sofas|color,fabric,feature
Sofa Slipcovers|sofa cover,sofa slipcover,couch cover|covers|color,fabric
Chair Pads & Cushions|chair cushion,chair pad,seat cushion|covers|color,fabric,shape
Coffee Tables|coffee table,cocktail table|tables|wood,shape,style
End Tables|end table,side table,accent table|tables|wood,shape,style
Console Tables|console table,sofa table,entry table|tables|wood,metal,style
Dining Tables|dining table,kitchen table,trestle table|tables|wood,shape,size
Nightstands|nightstand,bedside table|bedroom|wood,color,style
Desks|desk,writing desk,computer desk,standing desk|office|wood,color,feature
Bookcases|bookcase,bookshelf,etagere|storage|wood,color,size
Storage Cabinets|storage cabinet,accent cabinet,cupboard|storage|wood,color,feature
TV Stands|tv stand,media console,entertainment center|storage|wood,color,size
Beds|bed,platform bed,panel bed,poster bed|bedroom|wood,bedsize,style
Headboards|headboard,panel headboard|bedroom|fabric,bedsize,color
Mattresses|mattress,foam mattress|bedroom|bedsize,feature
Bed Skirts|bed skirt,dust ruffle|bedding|color,bedsize
Dressers|dresser,chest of drawers,double dresser|bedroom|wood,color,style
Wardrobes|wardrobe,armoire|bedroom|wood,color
Comforters|comforter set,quilt set,duvet cover|bedding|color,bedsize,pattern
Throw Pillows|throw pillow,pillow cover,lumbar pillow|textiles|color,pattern,shape
Area Rugs|area rug,rug,runner|textiles|color,pattern,rugsize
Curtains|curtain panel,curtains,drapes|textiles|color,pattern,size
Table Lamps|table lamp,bedside lamp|lighting|color,metal,style
Desk Lamps|desk lamp,task lamp|lighting|color,metal,feature
Floor Lamps|floor lamp,arc lamp,torchiere|lighting|metal,style
Chandeliers|chandelier,pendant chandelier|lighting|metal,style,shape
Vanity Lights|vanity light,bath light|lighting|metal,size
Wall Mirrors|wall mirror,mirror,vanity mirror|decor|metal,shape,style
Wall Art|wall art,canvas print,framed print|decor|color,motif
Vases|vase,table vase,floor vase|decor|color,shape
Picture Frames|picture frame,photo frame|decor|wood,color
Wall Clocks|wall clock,clock|decor|metal,shape
Cabinet Hardware|drawer pull,cabinet knob,dresser knob|hardware|metal,size
Bathroom Vanities|bathroom vanity,single vanity|bath|wood,color,size
Shower Curtains|shower curtain|bath|color,pattern
Towel Bars|towel bar,towel rack|bath|metal,size
Patio Chairs|patio chair,adirondack chair,outdoor chair|outdoor|color,wood
Patio Tables|patio table,bistro table,outdoor table|outdoor|metal,shape
Fire Pits|fire pit,fire pit table|outdoor|metal,shape
Planters|planter,plant pot,planter box|outdoor|color,shape
Shoe Racks|shoe rack,shoe cabinet,shoe storage bench|entry|wood,feature
Benches|bench,storage bench,entryway bench|entry|wood,fabric
Coat Racks|coat rack,hall tree|entry|wood,metal
Kitchen Islands|kitchen island,kitchen cart|kitchen|wood,color
Faucets|kitchen faucet,faucet|kitchen|metal,feature
Dinnerware|dinnerware set,plate set|kitchen|color,pattern
Pet Beds|dog bed,cat bed,pet bed|pets|color,size
"""
VALUES = {
    "color": "white black gray navy beige turquoise burgundy ivory teal charcoal blush sage",
    "fabric": "velvet,leather,linen,faux leather,upholstered,tufted,boucle",
    "wood": "oak walnut pine mango acacia cherry espresso driftwood bamboo",
    "metal": "brass,chrome,brushed nickel,iron,gold,copper,matte black",
    "style": "modern,mid-century,farmhouse,rustic,industrial,traditional,coastal,scandinavian",
    "feature": "swivel,adjustable,with storage,folding,with wheels,memory foam,lift top,massage",
    "shape": "round,square,rectangular,oval,hexagon",
    "size": '36",48",60",72",18"',
    "bedsize": "twin,full,queen,king,california king",
    "rugsize": "5' x 7',8' x 10',2' x 3',9' x 12'",
    "pattern": "floral,striped,geometric,plaid,abstract,ombre,paisley",
    "motif": "sunflower,rooster,dinosaur,botanical,mountain,elephant,beach",
}
VALUES = {k: v.split("," if "," in v else " ") for k, v in VALUES.items()}
ROOMS = "living room,bedroom,dining room,office,kitchen,patio,entryway,nursery,bathroom".split(",")
BRANDS = [
    a + b
    for a in "Al Bran Cor Del El Fair Gar Hol Ken Lang Mar Nor Os Pem Rand Sut Thorn Wal".split()
    for b in "ton ford ley wick dale ville more by land".split()
]
FILLER_SENTENCES = (
    "Bring comfort to your {room} with this piece.|Crafted with care for everyday use.|"
    "It pairs well with your {other} and {other}.|Perfect for small spaces and any {room}.|"
    "Assembly required.|Easy to clean with a damp cloth.|Ideal next to a {other} or {other}.|"
    "The neutral look works with {value} or {value} decor.|Backed by a one year warranty."
).split("|")


class ProductClass(NamedTuple):
    label: str
    nouns: list[str]
    family: str
    attributes: list[str]


class JudgedProduct(NamedTuple):
    product_class: ProductClass
    values: dict[str, str]
    brand: str
    fields: dict[str, Any]


class Query(NamedTuple):
    text: str
    product_class: ProductClass
    values: dict[str, str]


def load_classes() -> list[ProductClass]:
    rows = [line.split("|") for line in CLASSES.strip().splitlines()]
    return [ProductClass(a, b.split(","), c, d.split(",")) for a, b, c, d in rows]


def make_product(rng: random.Random, classes: list[ProductClass], number: int) -> JudgedProduct:
    product_class = rng.choice(classes)
    values = {name: rng.choice(VALUES[name]) for name in product_class.attributes}
    brand = rng.choice(BRANDS)
    noun = rng.choice([product_class.nouns[0], rng.choice(product_class.nouns)])
    named = [v for v in values.values() if rng.random() < 0.45]
    rng.shuffle(named)
    after = [v for v in named if v.startswith("with")]
    name = " ".join([brand, *(v for v in named if v not in after), noun, *after])
    if rng.random() < 0.1:
        name += rng.choice([", set of 2", " with lamp", " in box", f" for {rng.choice(ROOMS)}"])
    sentences = [f"This {noun} is {v}." for v in values.values() if rng.random() < 0.75]
    sentences += [
        part.format_map(_FillerValues(rng, classes))
        for part in rng.sample(FILLER_SENTENCES, rng.randint(2, 6))
    ]
    rng.shuffle(sentences)
    return JudgedProduct(
        product_class,
        values,
        brand,
        {
            "name": name.title()[:200],
            "category": product_class.label,
            "description": " ".join(sentences),
            "price": rng.randint(10, 3000),
            "stock": rng.randint(0, 50),
            "sku": f"{brand[:3].upper()}-{number:06d}",
        },
    )


class _FillerValues(dict):
    def __init__(self, rng: random.Random, classes: list[ProductClass]) -> None:
        self.rng, self.classes = rng, classes

    def __missing__(self, key: str) -> str:
        if key == "room":
            return self.rng.choice(ROOMS)
        if key == "other":
            return self.rng.choice(self.rng.choice(self.classes).nouns)
        return self.rng.choice(self.rng.choice(list(VALUES.values())))


def make_query(rng: random.Random, classes: list[ProductClass]) -> Query:
    product_class = rng.choice(classes)
    attributes = rng.sample(
        product_class.attributes,
        min(len(product_class.attributes), rng.choice([0, 1, 1, 1, 2, 2, 3])),
    )
    values = {name: rng.choice(VALUES[name]) for name in attributes}
    noun = rng.choice(
        [product_class.nouns[0], product_class.label.lower(), rng.choice(product_class.nouns)]
    )
    before = [v for v in values.values() if not v.startswith("with")]
    after = [v for v in values.values() if v.startswith("with")]
    if before and rng.random() < 0.2:
        moved = before.pop()
        after.append(rng.choice(["in ", "with ", ""]) + moved)
    words = " ".join([*before, noun, *after])
    extra = rng.random()
    if extra < 0.12:
        words += f" for {rng.choice(ROOMS)}"
    elif extra < 0.22:
        words = f"{rng.choice(['cute', 'best', 'cheap', 'unique', 'comfortable'])} {words}"
    elif extra < 0.3:
        words = words.replace('"', " inch").replace("-", "")
    return Query(words, product_class, values)


def grade(query: Query, product: JudgedProduct) -> float:
    """Return 1 for a full match, 0.5 for a near one, otherwise 0."""
    matching = sum(product.values.get(name) == value for name, value in query.values.items())
    if product.product_class == query.product_class:
        return 1.0 if matching == len(query.values) else 0.5
    related = product.product_class.family == query.product_class.family
    return 0.5 if related and query.values and matching == len(query.values) else 0.0


def misspell(rng: random.Random, text: str) -> str:
    """Return the text with one or two wrong letters in one of its longer words."""
    words = text.split()
    long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if not long:
        return text
    at = rng.choice(long)
    for _ in range(1 if len(words[at]) < 7 else rng.choice([1, 1, 2])):
        words[at] = _add_typo(rng, words[at])
    return " ".join(words)


def _add_typo(rng: random.Random, word: str) -> str:
    i = rng.randrange(1, len(word) - 1)
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    return rng.choice(
        [
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + letter + word[i + 1 :],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        ]
    )


def ndcg(grades: list[float], ideal: list[float]) -> float:
    def gain(values: list[float]) -> float:
        return sum(value / math.log2(i + 2) for i, value in enumerate(values[:10]))

    return gain(grades) / gain(ideal) if ideal and ideal[0] else 1.0


Ranker = Callable[[str], list[Any]]


def bureau_search(text: str) -> list[Any]:
    return [product.pk for product in search(Product.objects.public(), text, limit=10).products]


CREATE_BASELINE = """
    CREATE TEMP TABLE baseline AS SELECT id,
      to_tsvector('english', name) n, to_tsvector('english', name || ' ' || category) nc,
      to_tsvector('english', name || ' ' || category || ' ' || description) d,
      setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', category),
        'B') || setweight(to_tsvector('english', description), 'C') v
    FROM catalog_product WHERE deleted_at IS NULL"""


def websearch_rank(text: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM baseline, websearch_to_tsquery('english', %s) q WHERE v @@ q"
            " ORDER BY ts_rank_cd(v, q) DESC, id DESC LIMIT 10",
            [text],
        )
        return [pk for (pk,) in cursor.fetchall()]


def tier_rank(text: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id FROM baseline, plainto_tsquery('english', %s) q,
              nullif(replace(q::text, '&', '|'), '') o
            WHERE v @@ o::tsquery
            ORDER BY n @@ q DESC, nc @@ q DESC, d @@ q DESC, ts_rank_cd(v, o::tsquery) DESC,
              id DESC LIMIT 10""",
            [text],
        )
        return [pk for (pk,) in cursor.fetchall()]


_ideal_grades: dict[tuple[Any, ...], list[float]] = {}


def ideal_grades(query: Query, products: dict[Any, JudgedProduct]) -> list[float]:
    key = (query.product_class.label, *query.values.items())
    if key not in _ideal_grades:
        grades = (grade(query, product) for product in products.values())
        _ideal_grades[key] = sorted(grades, reverse=True)[:10]
    return _ideal_grades[key]


def evaluate(ranker: Ranker, queries: list[Query], products: dict[Any, JudgedProduct]) -> float:
    total = 0.0
    for query in queries:
        ideal = ideal_grades(query, products)
        grades = [grade(query, products[pk]) for pk in ranker(query.text)]
        total += ndcg(grades, ideal)
    return total / len(queries)


def main(number: int = 10_000, seed: int = 7) -> None:
    """Replace the catalogue, print the results, and roll back."""
    rng = random.Random(seed)
    classes = load_classes()
    products = [make_product(rng, classes, i) for i in range(number)]
    queries = [make_query(rng, classes) for _ in range(300)]
    misspelled = [query._replace(text=misspell(rng, query.text)) for query in queries]
    with transaction.atomic():
        company = Company.objects.get_or_create(code="quality", defaults={"name": "Quality"})[0]
        Product.objects.all().delete()
        rows = Product.objects.bulk_create(
            [Product(company=company, **product.fields) for product in products], batch_size=1000
        )
        by_id = {row.pk: product for row, product in zip(rows, products, strict=True)}
        with connection.cursor() as cursor:
            cursor.execute(CREATE_BASELINE)
            cursor.execute("ANALYZE catalog_product")
        vocabulary_refresh.rebuild()
        for name, ranker in {
            "websearch": websearch_rank,
            "tiers": tier_rank,
            "search": bureau_search,
        }.items():
            started = time.perf_counter()
            scores = [evaluate(ranker, group, by_id) for group in (queries, misspelled)]
            seconds = (time.perf_counter() - started) / 2 / len(queries)
            print(
                f"{name:<10} {scores[0]:.3f}  misspelled {scores[1]:.3f}"
                f"  {1000 * seconds:.1f} ms a query"
            )
        transaction.set_rollback(True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
