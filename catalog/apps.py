from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        """Invalidate cached products when a company changes: they show its name."""
        from accounts.models import Company

        Company.cache_namespaces += ("products",)

    def seed_demo(self, people: dict) -> None:
        """Create products for the demo company."""
        from catalog.demo import seed

        seed(people["admin"].company)
