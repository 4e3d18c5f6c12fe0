from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CommonConfig(AppConfig):
    name = "common"

    def import_models(self) -> None:
        """Also load the model that is defined in `common.caching`."""
        super().import_models()
        from common.caching import invalidation  # noqa: F401

    def ready(self) -> None:
        """Start the metrics and import each app's `tasks.py`, which registers its job handlers."""
        from common.jobs import queue_metrics
        from common.metrics import connection_pool, scrape

        connection_pool.monitor()
        scrape.register_database_collector(queue_metrics.collect)
        autodiscover_modules("tasks")
