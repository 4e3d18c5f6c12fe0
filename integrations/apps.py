from django.apps import AppConfig

from integrations.field_descriptions import FIELD_DESCRIPTIONS


class IntegrationsConfig(AppConfig):
    name = "integrations"
    schema_descriptions = FIELD_DESCRIPTIONS

    def ready(self) -> None:
        """Load the schema extension, which registers itself with drf-spectacular."""
        from integrations import schema  # noqa: F401
