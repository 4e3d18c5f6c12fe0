from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class CommonConfig(AppConfig):
    name = "common"

    def import_models(self) -> None:
        """Besides `common.models`, the job that looks after the cache is a model of this app."""
        super().import_models()
        from common.caching import invalidation  # noqa: F401

    def ready(self) -> None:
        """Import each app's `tasks.py`, where it registers its job handlers."""
        from common import migration_checksums
        from common.metrics import connection_pool

        post_migrate.connect(migration_checksums.record_applied_migrations, sender=self)
        register(migration_checksums.check_applied_migrations, Tags.database)
        connection_pool.watch()
        autodiscover_modules("tasks")
