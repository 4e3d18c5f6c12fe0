"""Measure imports and exports of products, beside PostgreSQL's own `COPY` of the same rows.

`python -m benchmarks.imports` prints a table and writes `var/bench/imports.json`;
`benchmarks/README.md` explains the rows. Everything runs in this process, as in a worker.
"""

import argparse
import csv
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.catalog import VAR, make_environment, run_manage
from config.local import LocalServices

DATABASE = "bench_imports"
BYTES_PER_MB = 1_000_000
HEADER = ("sku", "name", "description", "price", "stock", "category")
MAX_SECONDS = {100_000: 15, 1_000_000: 240}
MAX_MEMORY_MB = 150
MIN_EXPORT_MB_PER_S = 20
PLAIN_COPY = """
    COPY catalog_product (id, created_at, updated_at, company_id, name, description, price, stock,
        category, sku) FROM STDIN
"""


def build_row(number: int) -> tuple[Any, ...]:
    return (
        f"SKU-{number:08}",
        f"Maker {number % 3000} material {number // 7 % 90} kind {number // 3 % 160}",
        f"Finish {number // 11 % 400}, series {number // 13 % 997}; for indoors and outdoors.",
        f"{number * 7919 % 100_000 / 100:.2f}",
        number % 40,
        f"Category {number % 100}",
    )


def write_file(rows: int) -> Path:
    path = VAR / f"products-{rows}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(map(build_row, range(rows)))
    return path


def set_up_django(services: LocalServices) -> None:
    env = make_environment(DATABASE, services)
    with psycopg.connect(services.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    run_manage(env, "migrate", "--verbosity", "0")
    run_manage(env, "seed_admin")
    os.environ |= env | {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    import django

    django.setup()


def measure_seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def empty_catalogue() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_product CASCADE")
        cursor.execute("CHECKPOINT")


def copy_plainly(rows: int) -> None:
    """Copy the same rows into the table by one `COPY`, without any check."""
    from django.db import connection

    from accounts.models import Company
    from common.ids import uuid7

    company = Company.objects.get()
    with connection.cursor() as cursor, cursor.copy(PLAIN_COPY) as copy:
        for number in range(rows):
            sku, name, description, price, stock, category = build_row(number)
            values = (uuid7(), "now", "now", company.pk, name, description, price, stock)
            copy.write_row((*values, category, sku))


def run_import(path: Path, expected: str) -> None:
    """Import a file; all of its rows must be counted as `expected`."""
    from accounts.models import User
    from catalog.import_models import ProductImport
    from catalog.imports import services
    from catalog.imports.uploaded_file import detect_format
    from common.jobs import runner

    user = User.objects.get()
    with path.open("rb") as file:
        product_import = services.create_import(
            by=user,
            file=file,
            file_format=detect_format(file, mode="upsert", ignore_unknown=False),
            file_name=path.name,
            file_bytes=path.stat().st_size,
            mode="upsert",
            dry_run=False,
        )
    while product_import.status in ("queued", "in_progress"):
        runner.run(ProductImport, product_import.pk)
        product_import.refresh_from_db()
    if getattr(product_import, expected) != product_import.total_rows:
        raise RuntimeError(f"{product_import.status}: {product_import.error}")


def measure_export(name: str) -> float:
    """Return the MB per second of an export."""
    from catalog.export import FORMATS
    from catalog.models import Product

    started, size = time.perf_counter(), 0
    for part in FORMATS[name].export(Product.objects.order_by("-id")):
        size += len(part)
    return size / BYTES_PER_MB / (time.perf_counter() - started)


def measure_plain_export() -> float:
    from django.db import connection

    query = f"COPY (SELECT {', '.join(HEADER)} FROM catalog_product ORDER BY id DESC) TO STDOUT CSV"
    started, size = time.perf_counter(), 0
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for part in copy:
            size += len(part)
    return size / BYTES_PER_MB / (time.perf_counter() - started)


def memory_mb() -> float:
    """Return the largest memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rows: int) -> dict[str, float]:
    path = write_file(rows)
    empty_catalogue()
    plain_s = measure_seconds(lambda: copy_plainly(rows))
    empty_catalogue()
    memory_before = memory_mb()
    import_s = measure_seconds(lambda: run_import(path, "created"))
    again_s = measure_seconds(lambda: run_import(path, "unchanged"))
    results = {
        "plain COPY, s": plain_s,
        "import, s": import_s,
        "import / plain COPY": import_s / plain_s,
        "import without changes, s": again_s,
        "export csv, MB/s": measure_export("csv"),
        "export csv / plain COPY": 0.0,
        "export ndjson, MB/s": measure_export("ndjson"),
        "memory, MB": memory_mb() - memory_before,
    }
    results["export csv / plain COPY"] = results["export csv, MB/s"] / measure_plain_export()
    return {name: round(value, 2) for name, value in results.items()}


def list_missed_goals(rows: int, results: dict[str, float]) -> list[str]:
    goals = {
        "import, s": results["import, s"] <= MAX_SECONDS.get(rows, rows * 240 / 1_000_000),
        "memory, MB": results["memory, MB"] <= MAX_MEMORY_MB,
        "export csv, MB/s": results["export csv, MB/s"] >= MIN_EXPORT_MB_PER_S,
    }
    return [name for name, is_met in goals.items() if not is_met]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR, postgres=True, valkey=True) as services:
        set_up_django(services)
        results = measure(rows)
    (VAR / "imports.json").write_text(json.dumps({"rows": rows, **results}, indent=2))
    print(f"{rows:,} rows, load {os.getloadavg()[0]:.1f}")
    for name, value in results.items():
        print(f"{name:28} {value:10.2f}")
    if missed := list_missed_goals(rows, results):
        sys.exit(f"Missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
