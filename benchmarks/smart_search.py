"""Measure smart search.

By meaning: 60 queries in three languages on the demo catalogue, whose words are not those of the
products. By words: a labelled catalogue in FOLDER (products.jsonl.gz, queries.tsv, judgements.tsv),
where it must not be worse than the search by words alone.

    python -m benchmarks.smart_search [FOLDER]
"""

import csv
import gzip
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import connection, transaction

from accounts.models import Company
from catalog import demo, embedding_job, vocabulary_refresh
from catalog.models import EmbeddingModel, Product, ProductEmbedding
from catalog.search import search
from catalog.smart_search import smart_search
from common.ai.embeddings import current_model
from config.settings import local

QUERIES = Path(__file__).with_name("meaning_queries.tsv")
PAGE_SIZE = 100


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def find_by_words(company: Company, text: str) -> list[str]:
    found = search(Product.objects.filter(company=company), text, limit=PAGE_SIZE)
    return [product.sku for product in found.products]


def find_by_both(company: Company, text: str) -> list[str]:
    found = smart_search(Product.objects.filter(company=company), text, limit=PAGE_SIZE)
    return [product.sku for product, _ in found.items]


SEARCHES: dict[str, Callable[[Company, str], list[str]]] = {
    "words": find_by_words,
    "smart": find_by_both,
}


def ndcg(skus: Iterable[str], ratings: dict[str, int]) -> float | None:
    """Return the NDCG of the first ten, None if nothing is rated above 0."""
    ideal = _gain(sorted(ratings.values(), reverse=True))
    return _gain([ratings.get(sku, 0) for sku in skus]) / ideal if ideal else None


def _gain(ratings: list[int]) -> float:
    return sum((2**rating - 1) / math.log2(i + 2) for i, rating in enumerate(ratings[:10]))


def embed_all() -> None:
    """Embed all products in this process, as the worker does it."""
    embedding_job.MAX_RUN_S = math.inf
    EmbeddingModel.objects.all().delete()
    job = EmbeddingModel.objects.create(name=current_model())
    job = EmbeddingModel.objects.claim(job.pk)
    assert job.finish(**embedding_job.embed_products(job).columns())


def measure_meaning() -> None:
    company = Company.objects.create(code="bench-demo", name="Demo")
    demo.seed_products(company)
    prepare()
    queries = read_table(QUERIES)
    for name, find in SEARCHES.items():
        first = top_three = 0
        misses = defaultdict(int)
        for query in queries:
            skus = find(company, query["query"])
            wanted = set(query["skus"].split())
            first += bool(wanted & set(skus[:1]))
            top_three += bool(wanted & set(skus[:3]))
            misses[query["language"]] += not wanted & set(skus[:3])
        print(
            f"meaning, {name:<6} first {first}  in three {top_three}  of {len(queries)}", end="  "
        )
        print("not in three:", dict(misses))


def measure_words(folder: Path) -> None:
    company = Company.objects.create(code="bench-judged", name="Judged")
    with gzip.open(folder / "products.jsonl.gz", "rt") as file:
        rows = [_to_product(company, json.loads(line)) for line in file]
    Product.objects.bulk_create(rows, batch_size=1000)
    prepare()
    ratings: dict[str, dict[str, int]] = defaultdict(dict)
    for row in read_table(folder / "judgements.tsv"):
        ratings[row["query_id"]][row["product_id"]] = int(row["rating"])
    for table in ("queries.tsv", "queries_misspelt.tsv"):
        queries = read_table(folder / table)
        for name, find in SEARCHES.items():
            scores = (ndcg(find(company, q["query"]), ratings[q["query_id"]]) for q in queries)
            known = [score for score in scores if score is not None]
            print(f"{table}, {name:<6} NDCG@10 {fmean(known):.3f}")


def _to_product(company: Company, row: dict[str, Any]) -> Product:
    fields = {name: row[name] for name in ("name", "description", "category", "price")}
    return Product(company=company, sku=str(row["sku"]), stock=5, **fields)


def prepare() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_product")
    vocabulary_refresh.rebuild()
    embed_all()


def main(folder: str = "") -> None:
    """Replace the catalogue, print the results, and roll back; only for the embedded model."""
    with local, transaction.atomic():
        ProductEmbedding.objects.all().delete()
        Product.objects.all().delete()
        measure_meaning()
        if folder:
            measure_words(Path(folder))
        transaction.set_rollback(True)


if __name__ == "__main__":
    main(*sys.argv[1:])
