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


def one(product: Product) -> str:
    return f"{URL}/{product.pk}"


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["name"] for item in response.json()["items"]]


class TestReading:
    def test_anybody_reads_all_companies(self, api: APIClient, product: Product) -> None:
        ProductFactory(name="Chair")
        assert names(api.get(URL)) == ["Chair", "Desk"]
        body = api.get(one(product)).json()
        assert (body["name"], body["price"], body["stock"]) == ("Desk", "9.99", 5)
        assert body["company"] == {"id": str(product.company_id), "code": "acme", "name": "Acme"}
        assert body["created_at"].endswith("Z")

    def test_of_one_company(self, api: APIClient, product: Product) -> None:
        ProductFactory(name="Chair")
        assert names(api.get(URL, {"company": "acme"})) == ["Desk"]
        assert names(api.get(URL, {"company": "nobody"})) == []

    def test_what_is_gone_is_gone(self, api: APIClient, product: Product) -> None:
        gone = ProductFactory()
        Product.objects.filter(pk=gone.pk).soft_delete()
        closed = ProductFactory(company__is_active=False)
        assert names(api.get(URL)) == ["Desk"]
        assert api.get(one(gone)).status_code == api.get(one(closed)).status_code == 404
        assert api.get(f"{URL}/{uuid7()}").status_code == 404

    def test_a_broken_token_does_no_harm(self, api: APIClient, product: Product) -> None:
        assert api.get(URL, headers={"authorization": "Bearer x"}).status_code == 200

    def test_browser_gets_a_page(self, api: APIClient, product: Product) -> None:
        for _ in range(2):
            page = api.get(URL, headers={"accept": "text/html"})
            assert page["Content-Type"].startswith("text/html")
            assert api.get(URL)["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        ("query", "found"),
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
    def test_filters(self, api: APIClient, product: Product, query: dict, found: set) -> None:
        ProductFactory(name="Lamp", category="Light", price=Decimal("29.99"), stock=0)
        assert set(names(api.get(URL, query))) == found

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
    def test_sorting(self, api: APIClient, query: dict, order: str) -> None:
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
    def test_bad_value_is_named(self, api: APIClient, query: dict) -> None:
        response = api.get(URL, query)
        assert response.status_code == 400
        assert {error["field"] for error in response.json()["errors"]} == set(query)

    def test_total_says_whether_it_was_counted(
        self, api: APIClient, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert api.get(URL).json()["total_exact"] is True
        ProductFactory.create_batch(5)
        monkeypatch.setattr("catalog.pagination.COUNTED", 3)
        body = api.get(URL).json()
        assert body["total_exact"] is False
        assert body["total"] > 3

    def test_query_count(self, api: APIClient, product: Product, queries: Any) -> None:
        few = queries(lambda: api.get(URL, {"page_size": 100}))
        ProductFactory.create_batch(30)
        assert queries(lambda: api.get(URL, {"page_size": 100})) == few


class TestWriting:
    def test_create(self, as_user: Any, admin: User) -> None:
        response = as_user(admin).post(URL, BODY)
        assert response.status_code == 201
        body = response.json()
        assert (body["price"], body["stock"], body["company"]["code"]) == ("29.99", 3, "acme")
        assert as_user(admin).get(f"{URL}/{body['id']}").json() == body

    @pytest.mark.parametrize("price", ["5", 5, 5.5, "0"])
    def test_price_as_text_or_number(self, as_user: Any, admin: User, price: Any) -> None:
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
    def test_bad_input(self, as_user: Any, admin: User, change: dict, field: str) -> None:
        response = as_user(admin).post(URL, BODY | change)
        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == [field]
        assert not Product.objects.exists()

    def test_sku_is_taken_once_in_a_company(
        self, as_user: Any, admin: User, outsider: User, product: Product
    ) -> None:
        response = as_user(admin).post(URL, BODY | {"sku": "D-1"})
        assert response.status_code == 400
        error = response.json()["errors"][0]
        assert (error["field"], error["code"]) == ("sku", "unique")
        assert as_user(outsider).post(URL, BODY | {"sku": "D-1"}).status_code == 201

    def test_sku_is_free_again_after_deletion(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        client = as_user(admin)
        assert client.delete(one(product)).status_code == 204
        assert client.post(URL, BODY | {"sku": "D-1"}).status_code == 201

    def test_products_without_a_sku(self, as_user: Any, admin: User) -> None:
        for _ in range(2):
            assert as_user(admin).post(URL, {"name": "x", "price": "1"}).status_code == 201

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_change(self, as_user: Any, admin: User, product: Product, method: str) -> None:
        client = as_user(admin)
        response = getattr(client, method)(one(product), {"price": "12.00"})
        assert (response.status_code, response.json()["price"]) == (200, "12.00")
        assert client.get(one(product)).json() == response.json()

    def test_what_was_read_may_be_sent_back(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        client = as_user(admin)
        assert client.put(one(product), client.get(one(product)).json()).status_code == 200

    @pytest.mark.parametrize("who", ["owner", "worker_account"])
    def test_other_roles_may_not(
        self, as_user: Any, product: Product, who: str, request: pytest.FixtureRequest
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        assert client.post(URL, BODY).status_code == 403
        assert client.patch(one(product), {"price": "1"}).status_code == 403
        assert client.delete(one(product)).status_code == 403

    def test_another_companys_admin_finds_nothing_to_write(
        self, as_user: Any, outsider: User, product: Product
    ) -> None:
        client = as_user(outsider)
        assert client.put(one(product), {"price": "1"}).status_code == 404
        assert client.patch(one(product), {"price": "1"}).status_code == 404
        assert client.delete(one(product)).status_code == 404
        product.refresh_from_db()
        assert (product.price, product.deleted_at) == (Decimal("9.99"), None)

    def test_superuser_writes_all(self, as_user: Any, superuser: User, product: Product) -> None:
        assert as_user(superuser).patch(one(product), {"price": "1"}).status_code == 200

    def test_strangers_do_not(self, api: APIClient, product: Product) -> None:
        assert api.post(URL, BODY).status_code == 401
        assert api.delete(one(product)).status_code == 401

    @pytest.mark.parametrize("column", ["price", "stock"])
    def test_the_database_checks_too(self, product: Product, column: str) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Product.objects.filter(pk=product.pk).update(**{column: -1})

    @pytest.mark.django_db(transaction=True)
    def test_of_many_deletions_at_once_one_finds_it(
        self, as_user: Any, admin: User, product: Product
    ) -> None:
        def delete(client: APIClient) -> int:
            try:
                return client.delete(one(product)).status_code
            finally:
                connection.close()

        with (
            block_updates(Product, "NEW.deleted_at IS NOT NULL") as hold,
            ThreadPoolExecutor(3) as threads,
        ):
            answers = [threads.submit(delete, as_user(admin)) for _ in range(3)]
            eventually(lambda: waiting() == 3, "all three wait")
            hold.release()
        assert sorted(answer.result() for answer in answers) == [204, 404, 404]


def waiting() -> int:
    """How many sessions wait for a lock of another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


class TestEtags:
    def test_not_modified(self, api: APIClient, product: Product) -> None:
        for url in (URL, one(product)):
            etag = api.get(url)["ETag"]
            for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
                response = api.get(url, headers={"if-none-match": known})
                assert (response.status_code, response.content) == (304, b"")
                assert response["ETag"] == etag
            assert api.get(url, headers={"if-none-match": '"x"'}).status_code == 200

    def test_a_write_changes_it(self, as_user: Any, admin: User, product: Product) -> None:
        client = as_user(admin)
        before = client.get(one(product))["ETag"]
        response = client.patch(one(product), {"stock": 1})
        assert response["ETag"] == client.get(one(product))["ETag"] != before

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_if_match(self, as_user: Any, admin: User, product: Product, method: str) -> None:
        client = as_user(admin)
        etag = client.get(one(product))["ETag"]
        client.patch(one(product), {"stock": 1})
        write = getattr(client, method)
        response = write(one(product), {"stock": 2}, headers={"if-match": etag})
        assert response.status_code == 412
        assert response.json()["code"] == "precondition_failed"
        product.refresh_from_db()
        assert (product.stock, product.deleted_at) == (1, None)
        etag = client.get(one(product))["ETag"]
        assert write(one(product), {"stock": 2}, headers={"if-match": etag}).status_code < 300

    def test_if_match_of_anything(self, as_user: Any, admin: User, product: Product) -> None:
        response = as_user(admin).patch(one(product), {"stock": 2}, headers={"if-match": "*"})
        assert response.status_code == 200


class TestFarDown:
    @pytest.fixture(autouse=True)
    def _small_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("catalog.pagination.DEEP", 5)
        monkeypatch.setattr("catalog.pagination.STEP", 4)
        monkeypatch.setattr("catalog.pagination.COUNTED", 10)

    @pytest.mark.parametrize("field", ["name", "price", "created_at", "stock"])
    @pytest.mark.parametrize("direction", ["asc", "desc"])
    def test_pages_hold_what_they_would_hold(
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
    def test_by_more_than_one_field(self, api: APIClient, ordering: str) -> None:
        for number in range(33):
            ProductFactory(name=f"n{number % 3}", price=number % 5, stock=number % 2)
        fields = ordering.split(",")
        last = "-id" if fields[-1].startswith("-") else "id"
        expected = [str(product.pk) for product in Product.objects.order_by(*fields, last)]
        query = {"ordering": ordering, "page_size": 3}
        pages = [api.get(URL, query | {"page": page}).json()["items"] for page in range(1, 13)]
        assert [item["id"] for page in pages for item in page] == expected

    def test_with_a_filter(self, api: APIClient) -> None:
        ProductFactory.create_batch(12, category="Light")
        ProductFactory.create_batch(12)
        query = {"category": "Light", "page_size": 4, "page": 3}
        assert len(api.get(URL, query).json()["items"]) == 4
        assert api.get(URL, query | {"page": 4}).json()["items"] == []

    def test_past_the_end(self, api: APIClient) -> None:
        ProductFactory.create_batch(12)
        for ordering in ("price", "price,-name"):
            for page in (10**15, 10**20):
                query = {"ordering": ordering, "page": page}
                assert api.get(URL, query).json()["items"] == []
