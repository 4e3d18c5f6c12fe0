from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        """drf-spectacular finds its extensions by their being loaded."""
        from accounts import schema  # noqa: F401
