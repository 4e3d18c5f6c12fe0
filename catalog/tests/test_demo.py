from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import User
from catalog.demo import PRODUCTS
from catalog.models import Product


@pytest.mark.django_db
def test_seeding_twice_creates_each_row_once(as_user: Any, settings: Any, tmp_path: Path) -> None:
    settings.UPLOAD_SOURCE_ROOT = tmp_path
    for _ in range(2):
        call_command("seed_demo", password="demo-pass-2026")
    assert set(Product.objects.values_list("company__code", "sku")) == {
        ("demo", sku) for _, _, _, _, sku, _ in PRODUCTS
    }
    assert Product.objects.count() == len(PRODUCTS)
    ann = User.objects.get(email="ann@demo.example.com")
    items = as_user(ann).get("/api/v1/recommendations").json()["items"]
    assert {item["name"] for item in items[:2]} == {"Office chair", "Desk lamp"}
    assert items[0]["reason"] == "Often viewed together with “Oak desk”."
