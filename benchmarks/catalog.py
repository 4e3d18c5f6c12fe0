"""Measure how fast the catalogue answers, as ratios of two servers in one run.

`python -m benchmarks.catalog` prints a table and writes `var/bench/catalog.json` and
`catalog.png`; `benchmarks/README.md` explains the ratios.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.load import distinct_paths, measure_median_ms, measure_rate, repeat_path
from config.deploy_check import PRODUCTION
from config.environment import BASE_DIR
from config.local import LocalServices

VAR = BASE_DIR / "var" / "bench"
ROUNDS = 5
BUREAU_PORT, OTHER_PORT = 8951, 8952
LIST_PATH = "/api/v1/products?page_size=10"
SEARCH_PATH = "/api/v1/products/search?q=mah+kin"

# The words are as frequent as in a large shop: 160 kinds of product, 90 materials and 3,000 brands,
# each with a word of its own. The function `word` writes a number in letters.
INSERT_PRODUCTS = """
CREATE FUNCTION pg_temp.word(prefix text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT prefix || translate(n::text, '0123456789', 'bcdfghklmn') $$;
INSERT INTO catalog_product
    (id, created_at, updated_at, company_id, name, description, price, stock, category, sku)
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
    now() - n * interval '1 second', now(), (SELECT id FROM accounts_company LIMIT 1),
    pg_temp.word('bra', n % 3000) || ' ' || pg_temp.word('ma', n / 7 % 90) || ' '
        || pg_temp.word('ki', n / 3 % 160),
    pg_temp.word('fi', n / 11 % 400) || ', ' || pg_temp.word('se', n / 13 % 997) || '.',
    round((n::bigint * 7919 % 100000) / 100.0, 2), n % 40, 'Category ' || (n % 100), 'SKU-' || n
FROM generate_series(1, {rows}) AS n
"""


def make_environment(database: str, services: LocalServices) -> dict[str, str]:
    url = services.database_url.replace("/bureau?", f"/{database}?")
    return os.environ | {
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(VAR),
        "DATABASE_URL": url,
        # As in production.
        "DEBUG": "false",
        "SECRET_KEY": PRODUCTION["SECRET_KEY"],
        "FIRST_SUPERUSER_PASSWORD": PRODUCTION["FIRST_SUPERUSER_PASSWORD"],
        "REDIS_URL": services.redis_url,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "API_RATE_LIMIT": "off",
        "BARE_REDIS_URL": services.redis_url.replace("db=0", "db=5"),
    }


def run_manage(env: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=BASE_DIR, env=env, check=True)


def prepare_database(services: LocalServices, rows: int) -> dict[str, str]:
    """Create a database with this many products, unless it exists, and return its environment."""
    name = f"bench_{rows}"
    env = make_environment(name, services)
    with psycopg.connect(services.database_url, autocommit=True) as server:
        exists = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if exists is None:
            server.execute(f"CREATE DATABASE {name}")
    if exists is None:
        run_manage(env, "migrate", "--verbosity", "0")
        run_manage(env, "seed_admin")
        with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
            database.execute(INSERT_PRODUCTS.replace("{rows}", str(rows)))
            database.execute("VACUUM ANALYZE")
        # In production a scheduled task does this.
        run_manage(
            env, "shell", "--command", "from catalog import tasks; tasks.refresh_vocabulary()"
        )
    run_manage(env, "collectstatic", "--no-input", "--verbosity", "0")
    return env


@contextmanager
def run_server(target: str, port: int, env: dict[str, str]) -> Iterator[None]:
    """Run a server with two workers of four threads each."""
    granian = Path(sys.executable).parent / "granian"
    # Bureau as in the Procfile; the plain projects in Granian's faster mode.
    mode = "asginl --http 1" if "asgi" in target else "wsgi --blocking-threads 4"
    command = f"{granian} --interface {mode} --port {port} --workers 2 --no-ws"
    log = (VAR / f"{port}.log").open("w")
    process = subprocess.Popen([*command.split(), target], cwd=BASE_DIR, env=env, stderr=log)
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            time.sleep(0.2)
        else:
            # The port opens before the workers have loaded the application.
            time.sleep(3)
            return
    raise TimeoutError(port)


def compare(
    ours: Callable[[], float], other: Callable[[], float], *, rounds: int = ROUNDS
) -> dict[str, float]:
    """Measure both alternately, in several rounds; return the medians of both and of the ratio."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"ours": first, "other": second, "ratio": ratio}


def compare_cached(services: LocalServices, env: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Compare cache hits of list, detail and search with a bare project with one cache read."""
    with psycopg.connect(env["DATABASE_URL"]) as database:
        pk = database.execute("SELECT id FROM catalog_product LIMIT 1").fetchone()[0]
    bare = env | {"DJANGO_SETTINGS_MODULE": ""}
    with run_server("config.asgi:application", BUREAU_PORT, env):
        for name, path in [
            ("list", LIST_PATH),
            ("detail", f"/api/v1/products/{pk}"),
            ("search", SEARCH_PATH),
        ]:
            _cache_answer(services, _fetch(path))
            with run_server("benchmarks.bare:application", OTHER_PORT, bare):
                result = compare(
                    lambda path=path: measure_rate(BUREAU_PORT, repeat_path(path)),
                    lambda: measure_rate(OTHER_PORT, repeat_path("/answer")),
                )
            yield {"what": f"cached {name}: rate against a bare view", "goal": 0.7, **result}


def _fetch(path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{BUREAU_PORT}{path}") as response:
        return response.read()


def _cache_answer(services: LocalServices, body: bytes) -> None:
    """Store the answer of the bare view in the form that django-redis reads."""
    from django_redis.cache import RedisCache

    RedisCache(services.redis_url.replace("db=0", "db=5"), {}).set("answer", body, None)


def compare_uncached(env: dict[str, str]) -> dict[str, Any]:
    """Compare uncached filtered lists with a plain DRF project."""

    def query(n: int) -> str:
        return f"category=Category+{n % 100}&page_size=10"

    plain = env | {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"}
    ours = distinct_paths(
        lambda n: f"/api/v1/products?{query(n)}&min_price={n / 10000:.4f}&sort_by=price"
    )
    other = distinct_paths(lambda n: f"/products?{query(n)}&price__gte={n / 10000:.4f}")
    with (
        run_server("config.asgi:application", BUREAU_PORT, env),
        run_server("benchmarks.plain:application", OTHER_PORT, plain),
    ):
        result = compare(
            lambda: measure_rate(BUREAU_PORT, ours), lambda: measure_rate(OTHER_PORT, other)
        )
    return {"what": "uncached filtered list: rate against plain DRF", "goal": 2.0, **result}


# The last value of a parameter counts; another one before it makes the request distinct.
REQUESTS: dict[str, Callable[[int, int], str]] = {
    "page 1": lambda n, rows: f"/api/v1/products?page={n}&page=1",
    "category and price filter": lambda n, rows: (
        f"/api/v1/products?category=Category+{n % 100}&min_price={100 + n / 1000:.3f}&max_price=400"
    ),
    "detail": lambda n, rows: f"/api/v1/products/01900000-0000-7000-8000-{1 + n * 37 % rows:012x}",
    "search": lambda n, rows: (
        f"/api/v1/products/search?q={SEARCHES[n % len(SEARCHES)]}&page={n}&page=1"
    ),
    "deep page": lambda n, rows: f"/api/v1/products?page={n}&page={rows // 10 - n % 300}",
}
SEARCHES = [
    "kih",
    "mah+kin",
    "brahh+kihh",
    "kicf+fif",
    "bral",
    "SKU-4711",
    "mad+kif+bram",
    "kidd+sef",
]


def compare_sizes(
    small: dict[str, str], large: dict[str, str], rows: tuple[int, int]
) -> Iterator[dict]:
    """Compare the median time of uncached requests with many and with few products."""
    with (
        run_server("config.asgi:application", BUREAU_PORT, large),
        run_server("config.asgi:application", OTHER_PORT, small),
    ):
        for what, make_path in REQUESTS.items():
            many = distinct_paths(lambda n, make=make_path: make(n, rows[1]))
            few = distinct_paths(lambda n, make=make_path: make(n, rows[0]))
            result = compare(
                lambda many=many: measure_median_ms(BUREAU_PORT, many, requests=60),
                lambda few=few: measure_median_ms(OTHER_PORT, few, requests=60),
            )
            name = f"{what}: time with {rows[1]:,} products against {rows[0]:,}"
            yield {"what": name, "goal": -1.5, **result}


def run(rows: int, small: int, large: int, only: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services:
        if only in ("", "cached"):
            results += compare_cached(services, prepare_database(services, rows))
        if only in ("", "uncached"):
            results.append(compare_uncached(prepare_database(services, rows)))
        if only in ("", "growth"):
            with LocalServices(VAR / "small", postgres=False) as other:
                sizes = prepare_database(services, small), prepare_database(services, large)
                sizes[0]["REDIS_URL"] = other.redis_url
                results += compare_sizes(*sizes, (small, large))
    return results


def is_goal_met(result: dict[str, Any]) -> bool:
    """Whether the ratio reaches its goal; a goal below zero is an upper bound."""
    goal = result["goal"]
    return result["ratio"] >= goal if goal > 0 else result["ratio"] <= -goal


def print_results(results: list[dict[str, Any]]) -> None:
    print(f"{'':62} {'ours':>9} {'other':>9} {'ratio':>6}  goal")
    for r in results:
        goal = f"≥ {r['goal']}" if r["goal"] > 0 else f"≤ {-r['goal']}"
        print(f"{r['what']:62} {r['ours']:9.1f} {r['other']:9.1f} {r['ratio']:6.2f}  {goal}")


def draw_chart(results: list[dict[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.5 * len(results) + 1.2), layout="constrained")
    names = [r["what"].split(":")[0] for r in results][::-1]
    shares = [abs(r["ratio"] / r["goal"]) for r in results][::-1]
    colours = ["#7c3aed" if is_goal_met(r) else "#dc2626" for r in results][::-1]
    axes.barh(names, shares, color=colours)
    axes.axvline(1, color="#18181b", linewidth=1)
    axes.set_xlabel("ratio as a share of its goal (growth: below 1 is good; rates: above 1)")
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["", "cached", "uncached", "growth"], default="")
    options = parser.parse_args()
    results = run(options.rows, options.small, options.large, options.only)
    print_results(results)
    (VAR / "catalog.json").write_text(json.dumps(results, indent=1))
    draw_chart(results, VAR / "catalog.png")


if __name__ == "__main__":
    main()
