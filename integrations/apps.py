from django.apps import AppConfig

from integrations.field_descriptions import FIELD_DESCRIPTIONS


class IntegrationsConfig(AppConfig):
    name = "integrations"
    schema_descriptions = FIELD_DESCRIPTIONS

    def ready(self) -> None:
        """Load the schema extension, which registers itself, and add the metrics."""
        from common.metrics import scrape
        from integrations import schema  # noqa: F401
        from integrations.audit import metrics

        scrape.register_database_collector(metrics.collect)
