import django.contrib.postgres.search
from django.db import migrations, models

import catalog.search_vectors



class Migration(migrations.Migration):
    """Compute the heading vector again: it now has the first words of the description.

    Only `search_vector` finds products, so the indexes of `heading_vector` are not needed.
    """

    dependencies = [("catalog", "0003_joined_words")]

    operations = [
        migrations.AlterField(
            "word", "category_count", models.PositiveIntegerField(default=0, db_default=0)
        ),
        migrations.RemoveIndex("product", "product_heading_vector"),
        migrations.RemoveIndex("product", "product_heading_vector_sample"),
        migrations.RemoveField("product", "heading_vector"),
        migrations.AddField(
            "product",
            "heading_vector",
            models.GeneratedField(
                expression=catalog.search_vectors.HeadingVector(),
                output_field=django.contrib.postgres.search.SearchVectorField(),
                db_persist=True,
            ),
        ),
    ]
