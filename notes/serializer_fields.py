from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from notes.summary_templates import TEMPLATE_NAME_SCHEMA, TemplateSnapshot, find_template
from notes.validators import MAX_LANGUAGE_CHARS, validate_language


class StringField(serializers.CharField):
    """A field that accepts strings only, where DRF's would convert numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StringFieldsMixin:
    """Mixin of model serializers that use `StringField` for text columns."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: StringField,
        models.TextField: StringField,
    }


class TextField(StringField):
    """A text to summarise, stored unchanged; one that is only white space counts as blank."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        text = super().run_validation(data)
        if isinstance(text, str) and not text.strip():
            self.fail("blank")
        return text


class LoadedTextField(TextField):
    """A text that is left out of the response if the query did not load it."""

    def get_attribute(self, instance: models.Model) -> Any:
        if self.source in instance.get_deferred_fields():
            raise serializers.SkipField
        return super().get_attribute(instance)


class LanguageField(serializers.CharField):
    """A language's name or code. Both "" and `null` mean the language of the text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=MAX_LANGUAGE_CHARS,
            allow_blank=True,
            allow_null=True,
            validators=[validate_language],
            **options,
        )

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(data) or ""


@extend_schema_field(TEMPLATE_NAME_SCHEMA)
class TemplateField(serializers.CharField):
    """A template: read by name or id, shown by its name."""

    default_error_messages = {
        "does_not_exist": "There is no template {name!r}. GET /summary-templates lists all."
    }

    def run_validation(self, data: Any = serializers.empty) -> TemplateSnapshot:  # type: ignore[override]
        name = super().run_validation(data)
        template = find_template(name, company=self.context["request"].user.company)
        if template is None:
            self.fail("does_not_exist", name=name)
        return template
