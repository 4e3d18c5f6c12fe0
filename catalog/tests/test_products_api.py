from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from accounts.models import Company, User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.ids import uuid7
from common.tests.support.db_blocking import block_updates
from common.tests.support.waiting import eventually

pytestmark = pytest.mark.django_db
URL = "/api/v1/products"
BODY = {"name": "Lamp", "price": "29.99", "stock": 3, "category": "Light", "sku": "L-1"}


@pytest.fixture
def product(company: Company) -> Product:
    return ProductFactory(company=company, name="Desk", sku="D-1")


def field_errors(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.content
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def detail_url(product: Product) -> str:
    return f"{URL}/{product.pk}"


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["name"] for item in response.json()["items"]]


class TestRead:
    def test_anyone_reads_the_products_of_all_companies(
        self, api: APIClient, product: Product
    ) -> None:
        ProductFactory(name="Chair")
        assert names(api.get(URL)) == ["Chair", "Desk"]
        body = api.get(detail_url(product)).json()
        assert (body["name"], body["price"], body["stock"]) == ("Desk", "9.99", 5)
        assert body["company"] == {"id": str(product.company_id), "code": "acme", "name": "Acme"}
        assert body["created_at"].endswith("Z")

    def test_the_company_filter_takes_a_code(self, api: APIClient, product: Product) -> None:
        ProductFactory(name="Chair")
        assert names(api.get(URL, {"company": "acme"})) == ["Desk"]
        assert names(api.get(URL, {"company": "nobody"})) == []

    def test_deleted_products_and_inactive_companies_are_hidden(
        self, api: APIClient, product: Product
    ) -> None:
        gone = ProductFactory()
        Product.objects.filter(pk=gone.pk).soft_delete()
        closed = ProductFactory(company__is_active=False)
        assert names(api.get(URL)) == ["Desk"]
        assert (
            api.get(detail_url(gone)).status_code == api.get(detail_url(closed)).status_code == 404
        )
        assert api.get(f"{URL}/{uuid7()}").status_code == 404

    def test_an_invalid_token_is_ignored(self, api: APIClient, product: Product) -> None:
        assert api.get(URL, headers={"authorization": "Bearer x"}).status_code == 200

    def test_a_browser_gets_an_html_page(self, api: APIClient, product: Product) -> None:
        for _ in range(2):
            page = api.get(URL, headers={"accept": "text/html"})
            assert page["Content-Type"].startswith("text/html")
            assert api.get(URL)["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"name": "ES"}, {"Desk"}),
            ({"name": "%"}, set()),
            ({"category": "Light"}, {"Lamp"}),
            ({"min_price": "20"}, {"Lamp"}),
            ({"max_price": "9.99"}, {"Desk"}),
            ({"min_price": "9.99", "max_price": "30"}, {"Desk", "Lamp"}),
            ({"min_price": "30", "max_price": "40"}, set()),
            ({"min_price": "0", "category": "Light"}, {"Lamp"}),
            ({"min_price": "0", "category": "%s"}, set()),
            ({"min_price": "20", "in_stock_only": "true"}, set()),
            ({"in_stock_only": "true"}, {"Desk"}),
            ({"in_stock_only": "false"}, {"Desk", "Lamp"}),
        ],
    )
    def test_filters_restrict_the_list(
        self, api: APIClient, product: Product, query: dict, expected: set
    ) -> None:
        ProductFactory(name="Lamp", category="Light", price=Decimal("29.99"), stock=0)
        assert set(names(api.get(URL, query))) == expected

    @pytest.mark.parametrize(
        ("query", "order"),
        [
            ({"sort_by": "price"}, "abcd"),
            ({"sort_by": "price", "sort_order": "desc"}, "dcba"),
            ({"sort_by": "name", "sort_order": "asc"}, "abcd"),
            ({"sort_by": "stock", "sort_order": "desc"}, "dcba"),
            ({"sort_by": "created_at", "sort_order": "asc"}, "abcd"),
            ({"sort_order": "asc"}, "abcd"),
            ({"ordering": "-price"}, "dcba"),
            ({}, "dcba"),
        ],
        ids=str,
    )
    def test_sort_parameters_order_the_list(self, api: APIClient, query: dict, order: str) -> None:
        for number, name in enumerate("abcd"):
            ProductFactory(name=name, price=number, stock=number)
        assert "".join(names(api.get(URL, query))) == order

    @pytest.mark.parametrize("field", ["name", "price", "created_at", "stock"])
    @pytest.mark.parametrize("direction", ["asc", "desc"])
    def test_pages_hold_each_product_once(self, api: APIClient, field: str, direction: str) -> None:
        ProductFactory.create_batch(25, name="same")
        query = {"sort_by": field, "sort_order": direction, "page_size": 10}
        seen = [
            item["id"]
            for page in (1, 2, 3)
            for item in api.get(URL, query | {"page": page}).json()["items"]
        ]
        assert len(seen) == len(set(seen)) == 25

    @pytest.mark.parametrize(
        "query",
        [
            {"min_price": "cheap"},
            {"min_price": "-1"},
            {"max_price": "NaN"},
            {"max_price": "1e99999"},
            {"in_stock_only": "perhaps"},
            {"sort_by": "company"},
            {"sort_order": "up"},
            {"ordering": "vector"},
            {"name": "a\x00b"},
            {"page": "0"},
            {"min_price": "x", "sort_by": "y", "sort_order": "z", "page": "0", "page_size": "-1"},
        ],
        ids=str,
    )
    def test_invalid_parameters_are_named(self, api: APIClient, query: dict) -> None:
        response = api.get(URL, query)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == set(query)

    def test_total_exact_tells_counted_from_estimated(
        self, api: APIClient, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert api.get(URL).json()["total_exact"] is True
        ProductFactory.create_batch(5)
        monkeypatch.setattr("catalog.row_counts.MAX_COUNTED_ROWS", 3)
        body = api.get(URL).json()
        assert body["total_exact"] is False
        assert body["total"] > 3

    def test_the_query_count_does_not_grow_with_the_rows(
        self, api: APIClient, product: Product, count_queries: Any
    ) -> None:
        few = count_queries(lambda: api.get(URL, {"page_size": 100}))
        ProductFactory.create_batch(30)
        assert count_queries(lambda: api.get(URL, {"page_size": 100})) == few


class TestWrite:
    def test_create_returns_the_product(self, as_user: Any, admin: User) -> None:
        response = as_user(admin).post(URL, BODY)
        assert response.status_code == 201
        body = response.json()
        assert (body["price"], body["stock"], body["company"]["code"]) == ("29.99", 3, "acme")
        assert as_user(admin).get(f"{URL}/{body['id']}").json() == body

    @pytest.mark.parametrize("price", ["5", 5, 5.5, "0"])
    def test_the_price_may_be_a_string_or_a_number(
        self, as_user: Any, admin: User, price: Any
    ) -> None:
        body = as_user(admin).post(URL, BODY | {"price": price}).json()
        assert Decimal(body["price"]) == Decimal(str(price))
        assert body["price"].count(".") == 1

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"price": "-0.01"}, "price"),
            ({"price": "1.999"}, "price"),
            ({"price": "99999999999"}, "price"),
            ({"price": "NaN"}, "price"),
            ({"price": "free"}, "price"),
            ({"stock": -1}, "stock"),
            ({"stock": 2**31}, "stock"),
            ({"stock": 1.5}, "stock"),
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "a\x00b"}, "name"),
            ({"sku": "x" * 65}, "sku"),
            ({"description": "x" * 20_001}, "description"),
            ({"prize": 1}, "prize"),
        ],
        ids=str,
    )
    def test_an_invalid_field_is_named(
        self, as_user: Any, admin: User, change: dict, field: str
    ) -> None:
        response = as_user(admin).post(URL, BODY | change)
        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == [field]
        assert not Product.objects.exists()

    def test_a_sku_is_unique_in_a_company(
        self, as_user: Any, admin: User, outsider: User, product: Product
    ) -> None:
        response = as_user(admin).post(URL, BODY | {"sku": "D-1"})
        assert response.status_code == 400
        error = response.json()["errors"][0]
        assert (error["field"], error["code"]) == ("sku", "unique")
        assert as_user(outsider).post(URL, BODY | {"sku": "D-1"}).status_code == 201

    def test_the_sku_of_a_deleted_product_is_free(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        client = as_user(admin)
        assert client.delete(detail_url(product)).status_code == 204
        assert client.post(URL, BODY | {"sku": "D-1"}).status_code == 201

    @pytest.mark.parametrize(
        ("sku", "code"), [("absent", "required"), ("", "blank"), ("  ", "blank"), (None, "null")]
    )
    def test_a_product_needs_a_sku(
        self, as_user: Any, admin: User, product: Product, sku: str | None, code: str
    ) -> None:
        client = as_user(admin)
        body = BODY | {"sku": sku} if sku != "absent" else {"name": "Lamp", "price": "1"}
        assert field_errors(client.post(URL, body)) == [("sku", code)]
        if sku != "absent":
            assert field_errors(client.put(detail_url(product), {"sku": sku})) == [("sku", code)]

    def test_a_product_of_release_1_0_without_a_sku_can_still_be_changed(
        self, as_user: Any, admin: User
    ) -> None:
        products = [ProductFactory(company=admin.company, sku="") for _ in range(2)]
        client, url = as_user(admin), detail_url(products[0])
        assert client.patch(url, {"stock": 7}).status_code == 200
        row = client.get(url).json()
        assert client.put(url, row | {"stock": 8}).status_code == 200
        assert client.put(url, {"sku": "A-1"}).json()["sku"] == "A-1"
        assert field_errors(client.put(url, {"sku": ""})) == [("sku", "blank")]

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_put_and_patch_change_a_product(
        self, as_user: Any, admin: User, product: Product, method: str
    ) -> None:
        client = as_user(admin)
        response = getattr(client, method)(detail_url(product), {"price": "12.00"})
        assert (response.status_code, response.json()["price"]) == (200, "12.00")
        assert client.get(detail_url(product)).json() == response.json()

    def test_a_product_may_be_sent_back_as_it_was_read(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        client = as_user(admin)
        assert (
            client.put(detail_url(product), client.get(detail_url(product)).json()).status_code
            == 200
        )

    @pytest.mark.parametrize("role", ["owner", "worker_account"])
    def test_other_roles_cannot_write(
        self, as_user: Any, product: Product, role: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(role))
        assert client.post(URL, BODY).status_code == 403
        assert client.patch(detail_url(product), {"price": "1"}).status_code == 403
        assert client.delete(detail_url(product)).status_code == 403

    def test_an_admin_cannot_write_the_products_of_another_company(
        self, as_user: Any, outsider: User, product: Product
    ) -> None:
        client = as_user(outsider)
        assert client.put(detail_url(product), {"price": "1"}).status_code == 404
        assert client.patch(detail_url(product), {"price": "1"}).status_code == 404
        assert client.delete(detail_url(product)).status_code == 404
        product.refresh_from_db()
        assert (product.price, product.deleted_at) == (Decimal("9.99"), None)

    def test_a_superuser_writes_the_products_of_all_companies(
        self, as_user: Any, superuser: User, product: Product
    ) -> None:
        assert as_user(superuser).patch(detail_url(product), {"price": "1"}).status_code == 200

    def test_writing_needs_a_login(self, api: APIClient, product: Product) -> None:
        assert api.post(URL, BODY).status_code == 401
        assert api.delete(detail_url(product)).status_code == 401

    @pytest.mark.parametrize("column", ["price", "stock"])
    def test_the_database_rejects_negative_values(self, product: Product, column: str) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Product.objects.filter(pk=product.pk).update(**{column: -1})

    @pytest.mark.django_db(transaction=True)
    def test_one_of_many_concurrent_deletions_succeeds(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        def delete(client: APIClient) -> int:
            try:
                return client.delete(detail_url(product)).status_code
            finally:
                connection.close()

        with (
            block_updates(Product, "NEW.deleted_at IS NOT NULL") as hold,
            ThreadPoolExecutor(3) as threads,
        ):
            answers = [threads.submit(delete, as_user(admin)) for _ in range(3)]
            eventually(lambda: count_waiting_sessions() == 3, "all three wait")
            hold.release()
        assert sorted(answer.result() for answer in answers) == [204, 404, 404]


def count_waiting_sessions() -> int:
    """Return the number of sessions that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


class TestEtags:
    def test_a_matching_if_none_match_returns_304(self, api: APIClient, product: Product) -> None:
        for url in (URL, detail_url(product)):
            etag = api.get(url)["ETag"]
            gzip = f'{etag[:-1]}-gzip"'
            for known in (etag, f"W/{etag}", gzip, f"W/{gzip}", f'"x", {etag}', "*"):
                response = api.get(url, headers={"if-none-match": known})
                assert (response.status_code, response.content) == (304, b"")
                assert response["ETag"] == etag
            assert api.get(url, headers={"if-none-match": '"x"'}).status_code == 200

    def test_a_write_changes_the_etag(self, as_user: Any, admin: User, product: Product) -> None:
        client = as_user(admin)
        before = client.get(detail_url(product))["ETag"]
        response = client.patch(detail_url(product), {"stock": 1})
        assert response["ETag"] == client.get(detail_url(product))["ETag"] != before

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_an_outdated_if_match_is_rejected(
        self, as_user: Any, admin: User, product: Product, method: str
    ) -> None:
        client = as_user(admin)
        etag = client.get(detail_url(product))["ETag"]
        client.patch(detail_url(product), {"stock": 1})
        write = getattr(client, method)
        response = write(detail_url(product), {"stock": 2}, headers={"if-match": etag})
        assert response.status_code == 412
        assert response.json()["code"] == "precondition_failed"
        product.refresh_from_db()
        assert (product.stock, product.deleted_at) == (1, None)
        etag = client.get(detail_url(product))["ETag"]
        assert (
            write(detail_url(product), {"stock": 2}, headers={"if-match": etag}).status_code < 300
        )

    @pytest.mark.parametrize("suffix", ["-gzip", "-zstd", "-br", ";gzip", "/gzip"])
    def test_if_match_accepts_the_tag_of_a_compressed_response(
        self, as_user: Any, admin: User, product: Product, suffix: str
    ) -> None:
        client, url = as_user(admin), detail_url(product)
        etag = client.get(url)["ETag"]
        headers = {"if-match": f'{etag[:-1]}{suffix}"'}
        assert client.patch(url, {"stock": 1}, headers=headers).status_code == 200
        assert client.patch(url, {"stock": 2}, headers=headers).status_code == 412
        headers = {"if-match": f"W/{client.get(url)['ETag']}"}
        assert client.patch(url, {"stock": 2}, headers=headers).status_code == 200

    def test_if_match_accepts_an_asterisk(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        response = as_user(admin).patch(
            detail_url(product), {"stock": 2}, headers={"if-match": "*"}
        )
        assert response.status_code == 200


class TestDeepPages:
    @pytest.fixture(autouse=True)
    def _small_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("catalog.pagination.DEEP_OFFSET_ROWS", 5)
        monkeypatch.setattr("catalog.pagination.ANCHOR_BLOCK_ROWS", 4)
        monkeypatch.setattr("catalog.row_counts.MAX_COUNTED_ROWS", 10)

    @pytest.mark.parametrize("field", ["name", "price", "created_at", "stock"])
    @pytest.mark.parametrize("direction", ["asc", "desc"])
    def test_pages_hold_the_rows_of_the_plain_order(
        self, api: APIClient, field: str, direction: str
    ) -> None:
        for number in range(33):
            ProductFactory(name=f"n{number % 3}", price=number % 5, stock=number % 2)
        sign = "-" if direction == "desc" else ""
        expected = Product.objects.order_by(f"{sign}{field}", f"{sign}id")
        query = {"sort_by": field, "sort_order": direction, "page_size": 3}
        seen = [
            item["id"]
            for page in range(1, 14)
            for item in api.get(URL, query | {"page": page}).json()["items"]
        ]
        assert seen == [str(product.pk) for product in expected]

    @pytest.mark.parametrize("ordering", ["-stock,name", "name,-price", "price,price"])
    def test_pages_in_the_order_of_several_fields(self, api: APIClient, ordering: str) -> None:
        for number in range(33):
            ProductFactory(name=f"n{number % 3}", price=number % 5, stock=number % 2)
        fields = ordering.split(",")
        last = "-id" if fields[-1].startswith("-") else "id"
        expected = [str(product.pk) for product in Product.objects.order_by(*fields, last)]
        query = {"ordering": ordering, "page_size": 3}
        pages = [api.get(URL, query | {"page": page}).json()["items"] for page in range(1, 13)]
        assert [item["id"] for page in pages for item in page] == expected

    def test_pages_of_a_filtered_list(self, api: APIClient) -> None:
        ProductFactory.create_batch(12, category="Light")
        ProductFactory.create_batch(12)
        query = {"category": "Light", "page_size": 4, "page": 3}
        assert len(api.get(URL, query).json()["items"]) == 4
        assert api.get(URL, query | {"page": 4}).json()["items"] == []

    def test_pages_past_the_end_are_empty(self, api: APIClient) -> None:
        ProductFactory.create_batch(12)
        for ordering in ("price", "price,-name"):
            for page in (10**15, 10**20):
                query = {"ordering": ordering, "page": page}
                assert api.get(URL, query).json()["items"] == []
