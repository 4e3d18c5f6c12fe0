import common.normalization
from django.db import migrations

# SKUs stay as they are: in NFC two of them could be equal, and they are unique.
NORMALIZE_ROWS = """
    UPDATE catalog_product SET name = normalize(name, NFC), category = normalize(category, NFC)
    WHERE name IS NOT NFC NORMALIZED OR category IS NOT NFC NORMALIZED
"""


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="product",
            name="category",
            field=common.normalization.NfcCharField(blank=True, max_length=100),
        ),
        migrations.AlterField(
            model_name="product",
            name="name",
            field=common.normalization.NfcCharField(max_length=200),
        ),
        migrations.AlterField(
            model_name="product",
            name="sku",
            field=common.normalization.NfcCharField(max_length=64, verbose_name="SKU"),
        ),
        migrations.RunSQL(NORMALIZE_ROWS, migrations.RunSQL.noop),
    ]
