from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class CommonConfig(AppConfig):
    name = "common"

    def import_models(self) -> None:
        """Also load the models that are defined in packages."""
        super().import_models()
        from common.caching import invalidation  # noqa: F401
        from common.events import models  # noqa: F401

    def ready(self) -> None:
        """Start checks and metrics, and import the `tasks.py` of each app with its job handlers."""
        from common import migration_checksums
        from common.events import metrics as event_metrics
        from common.jobs import queue_metrics
        from common.metrics import connection_pool, scrape

        post_migrate.connect(migration_checksums.record_applied_migrations, sender=self)
        register(migration_checksums.check_applied_migrations, Tags.database)
        connection_pool.monitor()
        scrape.register_database_collector(queue_metrics.collect)
        scrape.register_database_collector(event_metrics.collect)
        autodiscover_modules("tasks")
