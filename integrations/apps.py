from django.apps import AppConfig

from integrations.field_descriptions import FIELD_DESCRIPTIONS


class IntegrationsConfig(AppConfig):
    name = "integrations"
    schema_descriptions = FIELD_DESCRIPTIONS
