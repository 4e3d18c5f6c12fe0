from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Right
from django.db.models.lookups import LessThan

import catalog.search_vectors

LIVE = Q(deleted_at=None)
SAMPLE = Q(LessThan(Right(Cast("id", models.CharField()), 2), Value("08")))
INDEXES = [
    GinIndex(
        fields=["search_vector"], condition=condition, name=f"product_search_vector{suffix}", fastupdate=False
    )
    for suffix, condition in (("", LIVE), ("_sample", LIVE & SAMPLE))
]
VECTORS = {
    "heading_vector": catalog.search_vectors.HeadingVector(),
    "search_vector": catalog.search_vectors.ProductVector(),
}


def generated(expression):
    return models.GeneratedField(
        expression=expression, output_field=SearchVectorField(), db_persist=True
    )


class Migration(migrations.Migration):
    """Compute the search vectors by a function that takes a tenth of the time for most texts.

    Their values stay the same.
    """

    dependencies = [("catalog", "0007_product_imports")]

    operations = [
        # In a new database the first migration has created it.
        migrations.RunSQL(catalog.search_vectors.CREATE_FUNCTION, migrations.RunSQL.noop),
        *(migrations.RemoveIndex("product", index.name) for index in INDEXES),
        *(migrations.RemoveField("product", name) for name in VECTORS),
        *(migrations.AddField("product", name, generated(VECTORS[name])) for name in VECTORS),
        *(migrations.AddIndex("product", index) for index in INDEXES),
    ]
