from django.apps import AppConfig

from posts.field_descriptions import FIELD_DESCRIPTIONS


class PostsConfig(AppConfig):
    name = "posts"
    schema_descriptions = FIELD_DESCRIPTIONS

    def ready(self) -> None:
        from common.metrics import scrape
        from posts import metrics

        scrape.register_database_collector(metrics.collect)
