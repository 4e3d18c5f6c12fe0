from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        """Load the schema extension, which registers itself with drf-spectacular."""
        from accounts import schema  # noqa: F401
