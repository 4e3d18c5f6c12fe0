"""No response has more than 8 MB, whatever the rows contain."""

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.tests.factories import ProductFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/products"


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_larger_page_is_an_error_that_says_what_to_do(
    api: APIClient, admin: User, accept: str
) -> None:
    # JSON has six bytes for each of these characters: 8.4 MB.
    ProductFactory.create_batch(70, company=admin.company, description="\x01" * 20_000)
    response = api.get(f"{URL}?page_size=100", headers={"accept": accept})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["code"] == "answer_too_large"
    assert "smaller `page_size`" in response.json()["detail"]
    assert api.get(f"{URL}?page_size=50", headers={"accept": accept}).status_code == 200
    sparse = api.get(f"{URL}?page_size=100&fields=id,name", headers={"accept": accept})
    assert sparse.status_code == 200
