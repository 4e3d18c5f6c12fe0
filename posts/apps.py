from django.apps import AppConfig


class PostsConfig(AppConfig):
    name = "posts"

    def ready(self) -> None:
        from common.metrics import scrape
        from posts import metrics

        scrape.register_database_collector(metrics.collect)
