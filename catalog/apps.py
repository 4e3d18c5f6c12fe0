from django.apps import AppConfig

from catalog.field_descriptions import FIELD_DESCRIPTIONS


class CatalogConfig(AppConfig):
    name = "catalog"
    schema_descriptions = FIELD_DESCRIPTIONS
    schema_examples = {
        "category": "Pumps",
        "sku": "PUMP-40",
        "stock": 12,
        "Description.description": "Cooling pump from our range “Pumps”.",
        "Description.model": "bureau-template-1",
    }
    # `migrate` fills this table, so a database with rows only there counts as empty.
    tables_filled_by_migrate = ("catalog_vocabularystate",)

    def ready(self) -> None:
        """Invalidate cached products when a company changes: they show its name."""
        from accounts.models import Company

        Company.cache_namespaces += ("products",)

    def seed_demo(self, people: dict) -> None:
        """Create products and views for the demo company."""
        from catalog.demo import seed

        seed(people)
