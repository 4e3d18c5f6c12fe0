"""Measure how well and how fast search ranks a real catalogue with human judgements.

The data are not part of the project: `products.jsonl.gz`, `queries.tsv`, `queries_misspelt.tsv` and
`judgements.tsv` in one folder (`--data`). The products are created by the service that the API
calls, and the queries are asked through the API.

    python -m benchmarks.search_quality [--data FOLDER] [--copies 50] [--only quality]
"""

import argparse
import csv
import gzip
import json
import statistics
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import log2
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.catalog import (
    BUREAU_PORT,
    OTHER_PORT,
    VAR,
    compare,
    is_goal_met,
    make_environment,
    print_results,
    run_manage,
    run_server,
)
from benchmarks.load import distinct_paths, measure_median_ms
from config.environment import BASE_DIR
from config.local import LocalServices

DATA = BASE_DIR.parent / "shared" / "data" / "search"
FILES = ("products.jsonl.gz", "queries.tsv", "queries_misspelt.tsv", "judgements.tsv")
MAX_NAME_CHARS = 200
FOLDS = 5
# The best product's copies have the same score. So a large catalogue is read until ten different
# products are found, but not further than this.
MAX_PAGES = 15

Judgements = dict[str, dict[str, int]]

# The copies take over the search vectors: computing those of a million products takes an hour.
COPY_PRODUCTS = """
DO $$
DECLARE
    definitions text[] := ARRAY(
        SELECT indexdef FROM pg_indexes
        WHERE tablename = 'catalog_product' AND indexname NOT LIKE '%_pkey'
    );
    name text;
    definition text;
BEGIN
    FOR name IN SELECT indexname FROM pg_indexes
        WHERE tablename = 'catalog_product' AND indexname NOT LIKE '%_pkey'
    LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
    ALTER TABLE catalog_product ALTER COLUMN search_vector DROP EXPRESSION;
    ALTER TABLE catalog_product ALTER COLUMN heading_vector DROP EXPRESSION;
    INSERT INTO catalog_product
        (id, created_at, updated_at, company_id, name, description, price, stock, category, sku,
         search_vector, heading_vector)
    SELECT overlay(gen_random_uuid()::text PLACING '7' FROM 15 FOR 1)::uuid, created_at, updated_at,
        company_id, product.name, description, price, stock, category, sku || '-' || copy,
        search_vector, heading_vector
    FROM catalog_product AS product, generate_series(2, {copies}) AS copy;
    FOREACH definition IN ARRAY definitions LOOP EXECUTE definition; END LOOP;
    UPDATE catalog_word SET product_count = product_count * {copies};
    UPDATE catalog_vocabularystate SET product_count = product_count * {copies};
END $$
"""


def load_products(folder: str) -> None:
    """Create the products; runs in a process of its own, with Django."""
    from accounts.models import User
    from catalog import services
    from catalog.models import Product

    admin = User.objects.get(is_superuser=True)
    with gzip.open(Path(folder) / "products.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    valid = [row for row in rows if len(row["name"]) <= MAX_NAME_CHARS]
    print(f"{len(valid):,} of {len(rows):,} products; the names of the others are too long")
    for row in valid:
        del row["id"]
        product = Product(company=admin.company, stock=5, **row)
        services.create_product(product, by=admin)


def prepare_database(services: LocalServices, folder: Path, copies: int) -> dict[str, str]:
    """Create a database with this many copies of each product, unless it exists."""
    name = f"search_{copies}"
    env = make_environment(name, services)
    with psycopg.connect(services.database_url, autocommit=True) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return env
        if copies > 1:
            prepare_database(services, folder, 1)
            server.execute(f"CREATE DATABASE {name} TEMPLATE search_1")
        else:
            server.execute(f"CREATE DATABASE {name}")
    if copies > 1:
        with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
            database.execute("SET maintenance_work_mem = '1GB'")
            database.execute(COPY_PRODUCTS.replace("{copies}", str(copies)))
            database.execute("VACUUM ANALYZE")
        return env
    run_manage(env, "migrate", "--verbosity", "0")
    run_manage(env, "seed_admin")
    load = f"from benchmarks import search_quality; search_quality.load_products({str(folder)!r})"
    run_manage(env, "shell", "--command", load)
    # In production a scheduled task does this.
    run_manage(env, "shell", "--command", "from catalog import tasks; tasks.refresh_vocabulary()")
    run_manage(env, "collectstatic", "--no-input", "--verbosity", "0")
    return env


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def read_judgements(folder: Path) -> Judgements:
    ratings: Judgements = defaultdict(dict)
    for row in read_rows(folder / "judgements.tsv"):
        ratings[row["query_id"]][row["product_id"]] = int(row["rating"])
    return ratings


def read_queries(file: Path, judgements: Judgements) -> dict[str, str]:
    """Return the queries that have a relevant product, by their ids."""
    queries = {row["query_id"]: row["query"] for row in read_rows(file)}
    return {key: query for key, query in queries.items() if any(judgements[key].values())}


def ask(query: str, page: int = 1) -> list[str]:
    """Return the SKUs of a page of 100 results."""
    parameters = urllib.parse.urlencode({"q": query, "page": page, "page_size": 100})
    url = f"http://127.0.0.1:{BUREAU_PORT}/api/v1/products/search?{parameters}"
    with urllib.request.urlopen(url) as response:
        return [item["sku"] for item in json.load(response)["items"]]


def find_originals(query: str, copies: int) -> list[str]:
    """Return the first results, each product once, however many copies it has."""
    originals: dict[str, None] = {}
    for page in range(1, MAX_PAGES + 1 if copies > 1 else 2):
        skus = ask(query, page)
        originals |= dict.fromkeys(sku.split("-")[0] for sku in skus)
        if len(skus) < 100 or len(originals) >= 100:
            break
    return list(originals)


def ndcg(found: Iterable[str], ratings: dict[str, int]) -> float:
    ideal = sorted(ratings.values(), reverse=True)
    return _gain(ratings.get(sku, 0) for sku in found) / _gain(ideal)


def _gain(ratings: Iterable[int]) -> float:
    best = list(ratings)[:10]
    return sum((2**rating - 1) / log2(rank + 2) for rank, rating in enumerate(best))


def recall(found: list[str], ratings: dict[str, int]) -> float:
    relevant = {sku for sku, rating in ratings.items() if rating}
    return len(relevant.intersection(found[:100])) / len(relevant)


def measure_quality(
    queries: dict[str, str], judgements: Judgements, copies: int
) -> dict[str, float]:
    found = {key: find_originals(query, copies) for key, query in queries.items()}
    scores = [ndcg(found[key], judgements[key]) for key in queries]
    judged = [
        ndcg([sku for sku in found[key] if sku in judgements[key]], judgements[key])
        for key in queries
    ]
    folds = [statistics.mean(scores[fold::FOLDS]) for fold in range(FOLDS)]
    return {
        "NDCG@10": statistics.mean(scores),
        "judged only": statistics.mean(judged),
        "recall@100": statistics.mean(recall(found[key], judgements[key]) for key in queries),
        "empty": sum(not found[key] for key in queries),
        "lowest fold": min(folds),
        "highest fold": max(folds),
    }


def print_quality(folder: Path, copies: int) -> None:
    judgements = read_judgements(folder)
    for name in ("queries", "queries_misspelt"):
        queries = read_queries(folder / f"{name}.tsv", judgements)
        results = measure_quality(queries, judgements, copies)
        figures = "  ".join(f"{what} {value:.3f}" for what, value in results.items())
        print(f"{name} ({len(queries)}): {figures}")


def compare_speed(folder: Path, services: LocalServices, copies: int) -> Iterator[dict[str, Any]]:
    """Compare the median time of uncached searches with an `ILIKE` search over the names."""
    env = prepare_database(services, folder, copies)
    plain = env | {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"}
    with (
        run_server("config.asgi:application", BUREAU_PORT, env),
        run_server("benchmarks.plain:application", OTHER_PORT, plain),
    ):
        for what, queries in group_queries(folder, env).items():
            ours = _paths("/api/v1/products/search?page={n}&page=1&q={q}", queries)
            other = _paths("/products?n={n}&search={q}", queries)
            result = compare(
                lambda other=other: measure_median_ms(OTHER_PORT, other, requests=40),
                lambda ours=ours: measure_median_ms(BUREAU_PORT, ours, requests=40),
            )
            # The ratio is how many times as long the ILIKE search takes.
            result["ours"], result["other"] = result["other"], result["ours"]
            yield {"what": f"{what} queries: ILIKE search against ours", "goal": 2.0, **result}


def compare_growth(folder: Path, services: LocalServices, copies: int) -> Iterator[dict[str, Any]]:
    """Compare the median time of uncached searches with and without copies of the products."""
    small = prepare_database(services, folder, 1)
    large = prepare_database(services, folder, copies)
    with LocalServices(VAR / "small", postgres=False) as other:
        small["REDIS_URL"] = other.redis_url
        with (
            run_server("config.asgi:application", BUREAU_PORT, large),
            run_server("config.asgi:application", OTHER_PORT, small),
        ):
            for what, queries in group_queries(folder, small).items():
                paths = _paths("/api/v1/products/search?page={n}&page=1&q={q}", queries)
                result = compare(
                    lambda paths=paths: measure_median_ms(BUREAU_PORT, paths, requests=60),
                    lambda paths=paths: measure_median_ms(OTHER_PORT, paths, requests=60),
                )
                name = f"{what} queries: time with {copies} copies of each product against one"
                yield {"what": name, "goal": -1.5, **result}


def group_queries(folder: Path, env: dict[str, str]) -> dict[str, list[str]]:
    """Return common, rare and misspelt queries: by how many products have all of the words."""
    judgements = read_judgements(folder)
    queries = read_queries(folder / "queries.tsv", judgements)
    misspelt = read_queries(folder / "queries_misspelt.tsv", judgements)
    count = (
        "SELECT count(*) FROM catalog_product WHERE search_vector @@ plainto_tsquery('bureau', %s)"
    )
    with psycopg.connect(env["DATABASE_URL"]) as database:
        counts = {q: database.execute(count, [q]).fetchone()[0] for q in queries.values()}
    by_count = sorted(counts, key=lambda query: counts[query])
    return {"common": by_count[-15:], "rare": by_count[:15], "misspelt": list(misspelt.values())}


def _paths(template: str, queries: list[str]) -> Iterator[str]:
    return distinct_paths(
        lambda n: template.format(n=n, q=urllib.parse.quote(queries[n % len(queries)]))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--only", choices=["", "quality", "speed"], default="")
    options = parser.parse_args()
    missing = [name for name in FILES if not (options.data / name).is_file()]
    if missing:
        parser.error(f"{options.data} lacks {', '.join(missing)}; name the folder with --data.")
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services:
        if options.only != "speed":
            env = prepare_database(services, options.data.resolve(), options.copies)
            with run_server("config.asgi:application", BUREAU_PORT, env):
                print_quality(options.data, options.copies)
        if options.only != "quality":
            compare_times = compare_growth if options.copies > 1 else compare_speed
            results = list(compare_times(options.data.resolve(), services, options.copies))
            print_results(results)
            if not all(map(is_goal_met, results)):
                raise SystemExit(1)


if __name__ == "__main__":
    main()
