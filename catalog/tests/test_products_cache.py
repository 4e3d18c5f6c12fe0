"""Products from the cache are as fresh as from the database, also while they change."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django_redis.pool import ConnectionFactory
from rest_framework.test import APIClient

from accounts.models import Company, Role, User
from accounts.tests.factories import UserFactory
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.caching import store

URL = "/api/v1/products"


@pytest.fixture(autouse=True)
def _cache_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "unavailable_until", 0.0)


@pytest.fixture
def product(transactional_db: None) -> Product:
    return ProductFactory(name="Desk", stock=0)


def detail_url(product: Product) -> str:
    return f"{URL}/{product.pk}"


def cache_status(response: Any) -> str:
    assert response.status_code == 200, response.content
    return response["X-Cache"]


def test_the_second_read_is_a_hit_without_queries(
    api: APIClient, product: Product, count_queries: Any
) -> None:
    for url in (URL, detail_url(product), f"{URL}?sort_by=price&page_size=3"):
        first = api.get(url)
        assert cache_status(first) == "miss"
        assert count_queries(lambda u=url: api.get(u)) == 0
        second = api.get(url)
        assert cache_status(second) == "hit"
        assert second.content == first.content
        assert second["ETag"] == first["ETag"]


def test_both_prefixes_share_a_cached_answer(api: APIClient, product: Product) -> None:
    api.get(URL)
    assert cache_status(api.get("/api/products/")) == "hit"


def test_an_id_in_capitals_has_the_same_cached_answer(
    api: APIClient, product: Product, as_user: Any
) -> None:
    capitals = f"{URL}/{str(product.pk).upper()}"
    assert cache_status(api.get(detail_url(product))) == "miss"
    assert cache_status(api.get(capitals)) == "hit"
    admin = UserFactory(company=product.company, role=Role.ADMIN)
    assert as_user(admin).patch(capitals, {"name": "Lamp"}).status_code == 200
    for url in (capitals, detail_url(product)):
        assert api.get(url).json()["name"] == "Lamp"


def test_hits_have_the_headers_of_all_answers(
    api: APIClient, product: Product, settings: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
    for _ in range(2):
        response = api.get(URL, headers={"origin": "https://app.example.org", "x-request-id": "r1"})
        assert response["X-Request-ID"] == "r1"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert response["Access-Control-Allow-Origin"] == "https://app.example.org"
        assert {"Accept", "origin"} <= set(response["Vary"].split(", "))
        assert response["Cache-Control"] == "no-cache"


def test_errors_have_the_headers_of_all_answers(api: APIClient, db: None, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.org"]
    response = api.get(f"{URL}?page=x", headers={"origin": "https://app.example.org"})
    assert (response.status_code, "X-Cache" in response) == (400, False)
    assert response["Content-Type"] == "application/problem+json"
    assert response["Content-Length"] == str(len(response.content))
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Access-Control-Allow-Origin"] == "https://app.example.org"


def test_after_an_error_in_the_view_the_next_request_computes(
    api: APIClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr("catalog.serializers.product_to_json", None)
        response = api.get(detail_url(product))
        assert (response.status_code, response.json()["status"]) == (500, 500)
    assert cache_status(api.get(detail_url(product))) == "miss"


def test_errors_are_not_cached(api: APIClient, product: Product) -> None:
    for _ in range(2):
        assert api.get(URL, {"page": "x"}).status_code == 400
        assert api.get(f"{detail_url(product)[:-1]}0").status_code in (200, 404)


def test_head_is_answered_from_the_cache_without_a_body(api: APIClient, product: Product) -> None:
    api.get(URL)
    response = api.head(URL)
    assert (cache_status(response), response.content) == ("hit", b"")


class TestTheNextReadShowsAWrite:
    def test_of_the_api(
        self, api: APIClient, product: Product, superuser: User, as_user: Any
    ) -> None:
        client = as_user(superuser)
        api.get(detail_url(product))
        client.patch(detail_url(product), {"name": "Table"})
        assert api.get(detail_url(product)).json()["name"] == "Table"
        assert api.get(URL).json()["items"][0]["name"] == "Table"
        client.delete(detail_url(product))
        assert api.get(detail_url(product)).status_code == 404
        assert api.get(URL).json()["items"] == []

    @pytest.mark.parametrize(
        "write",
        [
            lambda p: Product.objects.filter(pk=p.pk).update(name="Table"),
            lambda p: Product.objects.bulk_update([p], ["name"]),
            lambda p: p.save(),
        ],
        ids=["update", "bulk_update", "save"],
    )
    def test_of_the_models(self, api: APIClient, product: Product, write: Any) -> None:
        api.get(detail_url(product))
        product.name = "Table"
        write(product)
        assert api.get(detail_url(product)).json()["name"] == "Table"

    def test_of_the_company(self, api: APIClient, product: Product) -> None:
        api.get(detail_url(product))
        company = product.company
        company.name = "Renamed"
        company.save()
        assert api.get(detail_url(product)).json()["company"]["name"] == "Renamed"
        Company.objects.filter(pk=company.pk).update(is_active=False)
        assert api.get(detail_url(product)).status_code == 404


class ReadersAndWriters:
    """Threads that read and write the stock of one product until `stop` is set.

    A write increases the stock by 1.

    newest_stock: the largest stock that was read or written; a later read must not show less.
    outdated_reads: (`newest_stock` at its start, stock, cache status) of each read that did.
    """

    def __init__(self, product: Product) -> None:
        self.product = product
        self.urls = [detail_url(product), URL, f"{URL}?company={product.company.code}"]
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.newest_stock = 0
        self.cache_statuses: list[str] = []
        self.outdated_reads: list[tuple[int, int, str]] = []

    def run(self, step: Callable[[int], None], number: int) -> None:
        try:
            while not self.stop.is_set():
                step(number)
        finally:
            connection.close()

    def read(self, number: int) -> None:
        with self.lock:
            expected = self.newest_stock
        response = APIClient().get(self.urls[number % len(self.urls)])
        body = response.json()
        stock = (body["items"][0] if "items" in body else body)["stock"]
        self.cache_statuses.append(response["X-Cache"])
        if stock < expected:
            self.outdated_reads.append((expected, stock, response["X-Cache"]))
        self._set_newest(stock)

    def write(self, _: int) -> None:
        row = Product.objects.get(pk=self.product.pk)
        if Product.objects.filter(pk=row.pk, stock=row.stock).update(stock=row.stock + 1):
            self._set_newest(row.stock + 1)
        time.sleep(0.01)

    def _set_newest(self, stock: int) -> None:
        with self.lock:
            self.newest_stock = max(self.newest_stock, stock)


def test_no_reader_sees_an_older_version_after_a_newer_one(product: Product, settings: Any) -> None:
    """Four threads read (detail, list, filtered list) and two write for some seconds."""
    settings.API_RATE_LIMIT = "off"
    threads = ReadersAndWriters(product)
    # Each thread uses a pooled connection, which the test client does not return.
    with ThreadPoolExecutor(6) as executor:
        futures = [executor.submit(threads.run, threads.read, number) for number in range(4)]
        futures += [executor.submit(threads.run, threads.write, number) for number in range(2)]
        time.sleep(4)
        threads.stop.set()
        for future in futures:
            future.result()
    assert threads.outdated_reads == []
    assert threads.newest_stock > 20
    assert {"hit", "miss"} <= set(threads.cache_statuses)


def test_one_caller_computes_while_the_others_wait(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def render_slowly(row: Product) -> dict:
        computed.append(row.pk)
        time.sleep(0.3)
        return {"id": str(row.pk)}

    monkeypatch.setattr("catalog.serializers.product_to_json", render_slowly)

    def read(_: int) -> tuple[str, bytes]:
        try:
            response = APIClient().get(detail_url(product))
            return cache_status(response), response.content
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(read, range(6)))
    assert len(computed) == 1
    assert sorted(answer[0] for answer in answers) == ["hit"] * 5 + ["miss"]
    assert len({answer[1] for answer in answers}) == 1


class TestUnavailableCache:
    @pytest.fixture
    def hung_server(self) -> Iterator[int]:
        """Return a port that accepts connections and never answers."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            yield server.getsockname()[1]

    def point_to(self, settings: Any, port: int) -> None:
        caches = {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}
        settings.CACHES = {"default": caches}
        settings.API_RATE_LIMIT = "off"

    @pytest.fixture(autouse=True)
    def _close_pools(self) -> Iterator[None]:
        yield
        for pool in ConnectionFactory._pools.values():
            pool.disconnect()

    def test_refused_connections_bypass_the_cache(
        self, api: APIClient, product: Product, settings: Any, unused_port: int
    ) -> None:
        api.get(detail_url(product))
        self.point_to(settings, unused_port)
        Product.objects.filter(pk=product.pk).update(name="Table")
        for _ in range(3):
            response = api.get(detail_url(product))
            assert (cache_status(response), response.json()["name"]) == ("bypass", "Table")

    def test_a_hanging_server_bypasses_the_cache(
        self, api: APIClient, product: Product, settings: Any, hung_server: int
    ) -> None:
        self.point_to(settings, hung_server)
        started = time.monotonic()
        for _ in range(20):
            assert cache_status(api.get(detail_url(product))) == "bypass"
        assert time.monotonic() - started < 6
