"""Files of products are imported by `POST /products/import` and `/products/imports`."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from accounts.models import User
from catalog.import_models import ImportChunk, ImportRow, ProductImport
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.jobs import runner

pytestmark = pytest.mark.django_db
ONE_CALL, URL = "/api/v1/products/import", "/api/v1/products/imports"
HEADER = "sku,name,description,price,stock,category\n"
DESK = "D-1,Desk,Of oak,19.99,4,Furniture\n"


def send(client: APIClient, text: str | bytes, url: str = ONE_CALL, **options: Any) -> Any:
    data = text.encode() if isinstance(text, str) else text
    file = SimpleUploadedFile(options.pop("file_name", "products.csv"), data)
    return client.post(url, {"file": file, **options}, format="multipart")


def counts(body: Any) -> tuple[int, int, int, int]:
    return body["created"], body["updated"], body["unchanged"], body["failed"]


def errors(body: Any) -> list[tuple[int, str, str, str]]:
    return [(e["line"], e["column"], e["code"], e["value"]) for e in body["errors"]]


@pytest.fixture
def client(as_user: Callable[[User], APIClient], admin: User) -> APIClient:
    return as_user(admin)


def run(body: Any) -> None:
    runner.run(ProductImport, body["id"])


def test_a_small_file_is_imported_in_one_call(client: APIClient, admin: User) -> None:
    response = send(client, HEADER + DESK)
    assert response.status_code == 200, response.content
    body = response.json()
    assert (body["status"], body["total_rows"], body["progress"]) == ("completed", 1, 1.0)
    assert counts(body) == (1, 0, 0, 0)
    product = Product.objects.get()
    assert (product.company, product.sku, product.name) == (admin.company, "D-1", "Desk")
    assert (product.description, product.category) == ("Of oak", "Furniture")
    assert (product.price, product.stock) == (Decimal("19.99"), 4)
    assert not ImportChunk.objects.exists()
    assert not ImportRow.objects.exists()


def test_an_import_is_queued_and_done_by_a_worker(client: APIClient) -> None:
    response = send(client, HEADER + DESK, URL)
    assert response.status_code == 202
    body = response.json()
    assert (body["status"], body["mode"], body["dry_run"]) == ("queued", "upsert", False)
    assert not Product.objects.exists()
    run(body)
    done = client.get(f"{URL}/{body['id']}").json()
    assert (done["status"], counts(done)) == ("completed", (1, 0, 0, 0))
    assert client.get(URL).json()["items"] == [{k: v for k, v in done.items() if k != "errors"}]


def test_the_same_file_again_changes_nothing(client: APIClient) -> None:
    send(client, HEADER + DESK)
    before = Product.objects.values().get()
    assert counts(send(client, HEADER + DESK).json()) == (0, 0, 1, 0)
    assert Product.objects.values().get() == before


def test_only_the_columns_of_the_file_are_changed(client: APIClient, admin: User) -> None:
    product = ProductFactory(company=admin.company, sku="D-1", name="Desk", stock=4)
    assert counts(send(client, "sku,stock\nD-1,7\n").json()) == (0, 1, 0, 0)
    old_time = product.updated_at
    product.refresh_from_db()
    assert (product.name, product.stock) == ("Desk", 7)
    assert product.updated_at > old_time


def test_an_empty_number_stays_and_an_empty_text_is_stored(client: APIClient, admin: User) -> None:
    ProductFactory(company=admin.company, sku="D-1", stock=4, price=3, description="Old")
    assert counts(send(client, "sku,price,stock,description\nD-1,,,\n").json()) == (0, 1, 0, 0)
    product = Product.objects.get()
    assert (product.price, product.stock, product.description) == (3, 4, "")


def test_a_new_product_needs_a_name_and_a_price(client: APIClient) -> None:
    body = send(client, "sku,stock\nD-1,7\n").json()
    assert counts(body) == (0, 0, 0, 1)
    assert errors(body) == [(2, "name", "required", ""), (2, "price", "required", "")]


def test_create_refuses_existing_skus_and_update_unknown_ones(
    client: APIClient, admin: User
) -> None:
    ProductFactory(company=admin.company, sku="D-1", name="Desk", stock=1)
    text = HEADER + DESK + "D-2,Lamp,,5,1,\n"
    body = send(client, text, mode="create").json()
    assert (counts(body), errors(body)) == ((1, 0, 0, 1), [(2, "sku", "unique", "D-1")])
    body = send(client, text + "D-3,Chair,,5,1,\n", mode="update").json()
    assert (counts(body), errors(body)) == ((0, 1, 1, 1), [(4, "sku", "does_not_exist", "D-3")])


def test_products_of_other_companies_and_deleted_ones_are_no_match(
    client: APIClient, admin: User, outsider: User
) -> None:
    theirs = ProductFactory(company=outsider.company, sku="D-1", name="Theirs")
    deleted = ProductFactory(company=admin.company, sku="D-1", name="Deleted")
    Product.objects.filter(pk=deleted.pk).soft_delete()
    assert counts(send(client, HEADER + DESK).json()) == (1, 0, 0, 0)
    theirs.refresh_from_db()
    assert theirs.name == "Theirs"
    assert Product.objects.live().get(company=admin.company).name == "Desk"


def test_a_repeated_sku_is_named_with_both_lines(client: APIClient) -> None:
    body = send(client, HEADER + DESK + "D-2,Lamp,,5,1,\n" + DESK).json()
    assert counts(body) == (2, 0, 0, 1)
    [error] = body["errors"]
    assert error == {
        "line": 4,
        "column": "sku",
        "code": "duplicate",
        "value": "D-1",
        "message": "Line 2 already has this SKU.",
    }


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("price", "-1", "min_value"),
        ("price", "1.234.5", "invalid"),
        ("price", "free", "invalid"),
        ("price", "1.2345", "max_decimal_places"),
        ("price", "99999999999", "max_whole_digits"),
        ("price", "1.234", "ambiguous"),
        ("price", "NaN", "invalid"),
        ("stock", "-1", "min_value"),
        ("stock", "1.5", "invalid"),
        ("stock", "99999999999", "max_value"),
        ("stock", "1,000", "ambiguous"),
        ("name", "", "blank"),
        ("name", "x" * 201, "max_length"),
        ("name", "a\0b", "null_characters_not_allowed"),
        ("sku", "", "blank"),
        ("sku", "x" * 65, "max_length"),
        ("category", "x" * 101, "max_length"),
        ("description", "x" * 20_001, "max_length"),
    ],
)
def test_a_wrong_value_is_an_error_with_the_codes_of_the_api(
    client: APIClient, column: str, value: str, code: str
) -> None:
    row = {"sku": "D-1", "name": "Desk", "price": "5", "stock": "1"}
    names = [*row, *({column} - set(row))]
    text = ",".join(names) + "\n" + ",".join(f'"{({**row, column: value})[n]}"' for n in names)
    body = send(client, text).json()
    shown = value if len(value) <= 100 else value[:100] + "…"
    assert (counts(body), body["status"]) == ((0, 0, 0, 1), "completed")
    assert errors(body) == [(2, column, code, shown.replace("\0", "␀"))]
    if code != "ambiguous":
        data: dict[str, Any] = {**row, column: value}
        data["stock"] = json.loads(data["stock"])
        answer = client.post("/api/v1/products", data)
        assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(column, code)]


def test_texts_are_stored_as_the_api_stores_them(client: APIClient) -> None:
    decomposed = "Tu\u0308r"
    send(client, f'sku,name,price\n" A-1 ","  {decomposed} ",1\n')
    product = Product.objects.get()
    assert (product.sku, product.name) == ("A-1", "T\u00fcr")


def test_a_dry_run_writes_nothing_and_is_confirmed(client: APIClient, admin: User) -> None:
    ProductFactory(company=admin.company, sku="D-1", name="Old")
    text = HEADER + DESK + "D-2,Lamp,,5,1,\nD-3,,,5,1,\n"
    body = send(client, text, dry_run="true").json()
    assert (body["dry_run"], counts(body), len(body["errors"])) == (True, (1, 1, 0, 1), 1)
    assert Product.objects.get().name == "Old"
    confirmed = client.post(f"{URL}/{body['id']}/confirm")
    assert (confirmed.status_code, confirmed.json()["status"]) == (202, "queued")
    run(body)
    done = client.get(f"{URL}/{body['id']}").json()
    assert (done["dry_run"], counts(done), done["errors"]) == (False, (1, 1, 0, 1), body["errors"])
    assert set(Product.objects.values_list("name", flat=True)) == {"Desk", "Lamp"}
    again = client.post(f"{URL}/{body['id']}/confirm")
    assert (again.status_code, again.json()["code"]) == (409, "not_confirmable")


def test_a_confirmed_import_compares_with_the_products_of_that_time(
    client: APIClient, admin: User
) -> None:
    body = send(client, HEADER + DESK, dry_run="true", mode="update").json()
    assert counts(body) == (0, 0, 0, 1)
    ProductFactory(company=admin.company, sku="D-1", name="Old")
    client.post(f"{URL}/{body['id']}/confirm")
    run(body)
    assert counts(client.get(f"{URL}/{body['id']}").json()) == (0, 1, 0, 0)


def test_a_cancelled_import_does_nothing_more(client: APIClient) -> None:
    body = send(client, HEADER + DESK, URL).json()
    cancelled = client.post(f"{URL}/{body['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    run(body)
    assert not Product.objects.exists()
    assert not ImportChunk.objects.exists()
    again = client.post(f"{URL}/{body['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")


def test_the_failed_rows_are_a_file_that_can_be_corrected(client: APIClient) -> None:
    text = "Artikelnummer;Bezeichnung;Preis\nA-1;=Gut;1,50\nA-2;;2\nA-1;Doppelt;3\n"
    body = send(client, text).json()
    assert counts(body) == (1, 0, 0, 2)
    url = f"{URL}/{body['id']}/errors"
    page = client.get(url).json()
    assert (page["items"], page["total"]) == (body["errors"], 2)
    response = client.get(url, {"format": "csv"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    file = response.getvalue().decode()
    assert file.splitlines() == [
        "Artikelnummer,Bezeichnung,Preis,import_error",
        "A-2,,2,Line 3: Bezeichnung: This field may not be blank.",
        "A-1,Doppelt,3,Line 4: Artikelnummer: Line 2 already has this SKU.",
    ]
    corrected = send(client, file.replace("A-2,,", "A-2,Neu,")).json()
    assert counts(corrected) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", ["empty"]),
        ("sku,name,pricee\n", ["unknown_column"]),
        ("sku,name,id,created_at\n", ["unknown_column", "unknown_column"]),
        ("name,price\nDesk,1\n", ["missing_column"]),
        ("sku,qty,stock\n", ["duplicate_column"]),
        ("\0\1\2" * 30, ["unsupported"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1xls", ["unsupported"]),
        (b"PK\x03\x04 no archive", ["broken"]),
    ],
)
def test_a_file_that_cant_be_imported_is_refused_at_once(
    client: APIClient, text: str, codes: list[str]
) -> None:
    response = send(client, text)
    assert response.status_code == 400
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [
        ("file", code) for code in codes
    ]
    assert not ProductImport.objects.exists()


def test_an_unknown_column_is_named_with_the_nearest_field(client: APIClient) -> None:
    [error] = send(client, "sku,name,Pricee\n").json()["errors"]
    assert "'Pricee'" in error["message"]
    assert "Did you mean 'price'?" in error["message"]
    body = send(client, "sku,name,price,Colour\nA,B,1,red\n", ignore_unknown_columns="true").json()
    assert (counts(body), body["ignored_columns"]) == ((1, 0, 0, 0), ["Colour"])
    assert body["columns"] == ["sku", "name", "price"]


def test_wrong_options_are_refused(client: APIClient) -> None:
    response = send(client, HEADER, mode="replace", dry_run="maybe", separator=";")
    fields = {(e["field"], e["code"]) for e in response.json()["errors"]}
    assert fields == {
        ("mode", "invalid_choice"),
        ("dry_run", "invalid"),
        ("separator", "unknown_field"),
    }
    response = client.post(ONE_CALL, {"mode": "upsert"}, format="multipart")
    assert [e["code"] for e in response.json()["errors"]] == ["required"]


def test_two_files_are_refused(client: APIClient) -> None:
    files = [SimpleUploadedFile(name, (HEADER + DESK).encode()) for name in ("a.csv", "b.csv")]
    response = client.post(ONE_CALL, {"file": files}, format="multipart")
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [
        ("file", "repeated_field")
    ]


def test_a_file_over_the_limit_is_a_413(client: APIClient, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 1_000
    assert send(client, HEADER + DESK * 100).status_code == 413


def test_a_file_with_too_many_rows_fails(client: APIClient, settings: Any) -> None:
    settings.IMPORT_MAX_ROWS = 2
    body = send(client, HEADER + DESK + "D-2,Lamp,,5,1,\nD-3,Lamp,,5,1,\n").json()
    assert (body["status"], body["error"]) == (
        "failed",
        "The file has more than 2 rows. Split it.",
    )
    assert not Product.objects.exists()


def test_only_admins_import_into_their_company(
    api: APIClient, as_user: Callable[[User], APIClient], owner: User, worker_account: User
) -> None:
    assert send(api, HEADER).status_code == 401
    for user in (owner, worker_account):
        for url in (ONE_CALL, URL):
            assert send(as_user(user), HEADER, url).status_code == 403
        assert as_user(user).get(URL).status_code == 403


def test_the_import_of_another_company_is_not_found(
    client: APIClient, as_user: Callable[[User], APIClient], outsider: User
) -> None:
    pk = send(client, HEADER + DESK, URL).json()["id"]
    stranger = as_user(outsider)
    assert stranger.get(f"{URL}/{pk}").status_code == 404
    assert stranger.get(f"{URL}/{pk}/errors").status_code == 404
    for action in ("confirm", "cancel"):
        assert stranger.post(f"{URL}/{pk}/{action}").status_code == 404
    assert stranger.get(URL).json()["items"] == []


def test_a_repeated_key_imports_once(client: APIClient) -> None:
    for expected in (200, 200):
        file = SimpleUploadedFile("a.csv", (HEADER + DESK).encode())
        response = client.post(
            ONE_CALL, {"file": file}, format="multipart", headers={"Idempotency-Key": "k"}
        )
        assert (response.status_code, counts(response.json())) == (expected, (1, 0, 0, 0))
    assert ProductImport.objects.count() == 1


def test_the_number_of_queries_does_not_depend_on_the_rows(
    client: APIClient, count_queries: Callable[[Callable[[], Any]], int]
) -> None:
    send(client, HEADER + DESK)
    rows = "".join(f"L-{n},Lamp,,5,1,\n" for n in range(30))
    one = count_queries(lambda: send(client, HEADER + "L,Lamp,,5,1,\n"))
    assert count_queries(lambda: send(client, HEADER + rows)) == one


def test_a_list_has_the_same_queries_for_each_number_of_imports(
    client: APIClient, count_queries: Callable[[Callable[[], Any]], int]
) -> None:
    send(client, HEADER + DESK, URL)
    one = count_queries(lambda: client.get(URL))
    for _ in range(3):
        send(client, HEADER + DESK, URL)
    assert count_queries(lambda: client.get(URL)) == one


def test_null_characters_are_shown_in_the_file_of_failed_rows(client: APIClient) -> None:
    body = send(client, 'sku,name,price\n"A","x\0y",1\n').json()
    text = client.get(f"{URL}/{body['id']}/errors", {"format": "csv"}).getvalue().decode()
    assert "x␀y" in text
