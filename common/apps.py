from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "common"

    def import_models(self) -> None:
        """Besides `common.models`, the job that looks after the cache is a model of this app."""
        super().import_models()
        from common.caching import invalidation  # noqa: F401

    def ready(self) -> None:
        from common.metrics import connection_pool

        connection_pool.watch()
