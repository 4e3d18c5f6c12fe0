import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Right
from django.db.models.lookups import LessThan

import catalog.search_vectors

LIVE = Q(deleted_at=None)
SAMPLE = Q(LessThan(Right(Cast("id", models.CharField()), 2), Value("08")))
INDEXES = [
    django.contrib.postgres.indexes.GinIndex(
        fields=[field], condition=condition, name=f"product_{field}{suffix}", fastupdate=False
    )
    for field in ("heading_vector", "search_vector")
    for suffix, condition in (("", LIVE), ("_sample", LIVE & SAMPLE))
]
VECTORS = {
    "heading_vector": catalog.search_vectors.HeadingVector(),
    "search_vector": catalog.search_vectors.ProductVector(),
}


def generated(expression):
    return models.GeneratedField(
        expression=expression,
        output_field=django.contrib.postgres.search.SearchVectorField(),
        db_persist=True,
    )


class Migration(migrations.Migration):
    """Compute the search vectors again: they now have the joined forms of words and codes."""

    dependencies = [("catalog", "0002_text_in_nfc")]

    operations = [
        *(migrations.RemoveIndex("product", index.name) for index in INDEXES),
        *(migrations.RemoveField("product", name) for name in VECTORS),
        *(migrations.AddField("product", name, generated(VECTORS[name])) for name in VECTORS),
        *(migrations.AddIndex("product", index) for index in INDEXES),
        migrations.AddIndex(
            "product",
            models.Index(
                catalog.search_vectors.SkuCode("sku"),
                condition=LIVE & ~Q(sku=""),
                name="product_by_sku_code",
            ),
        ),
        # Without this row the next refresh counts the words of all products.
        migrations.RunSQL("DELETE FROM catalog_vocabularystate", migrations.RunSQL.noop),
    ]
