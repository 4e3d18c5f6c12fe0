from django.apps import AppConfig

from integrations.field_descriptions import FIELD_DESCRIPTIONS


class IntegrationsConfig(AppConfig):
    name = "integrations"
    schema_descriptions = FIELD_DESCRIPTIONS

    def ready(self) -> None:
        from common.metrics import scrape
        from integrations.audit import metrics

        scrape.register_database_collector(metrics.collect)
