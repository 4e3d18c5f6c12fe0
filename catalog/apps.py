from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"
    schema_examples = {"category": "Pumps", "sku": "PUMP-40", "stock": 12}
    # `migrate` fills this table, so a database with rows in it alone counts as empty.
    tables_filled_by_migrate = ("catalog_vocabularystate",)

    def ready(self) -> None:
        """Products show their company's name and go with it when it is closed."""
        from accounts.models import Company

        Company.cache_namespaces += ("products",)

    def seed_demo(self, people: dict) -> None:
        """Give the demo company something to sell."""
        from catalog.demo import seed

        seed(people["admin"].company)
