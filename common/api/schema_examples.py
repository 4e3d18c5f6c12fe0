"""Examples for the OpenAPI schema, generated from field names, types and formats.

An app adds examples of its own fields with a dict `schema_examples` on its `AppConfig`. A key is
the name of a field, or `Component.field` for the schemas with `Component` in their name. Fields
with the example `LEFT_OUT` are left out of requests, such as other names of a field.
"""

from collections import ChainMap
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django.apps import apps

LEFT_OUT = object()
UUID_EXAMPLE = "01980c1e-6a40-7c11-b1f4-2d9a8c7e5f03"
FORMAT_EXAMPLES = {
    "uuid": UUID_EXAMPLE,
    "date-time": "2026-03-14T09:30:00Z",
    "date": "2026-03-14",
    "email": "mia@example.com",
    "uri": "https://example.com/hook",
    "decimal": "29.99",
    "binary": "(the file)",
    "ip": "203.0.113.7",
}
TYPE_EXAMPLES: dict[str, Any] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True}
FIELD_EXAMPLES: dict[str, Any] = {
    "name": "Cooling pump",
    "title": "Pump failure",
    "text": "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one.",
    "description": "A pump for cooling circuits of up to 40 kW.",
    "language": "English",
    "error": "",
    "role": "agent",
    "url": "https://example.com/hook",
    "total_pages": 1,
    "total": 1,
    "page": 1,
    "page_size": 10,
}
DEFAULT_MAX_CHARS = 999


class SchemaExamples:
    """Generates examples for the operations of one schema.

    `schemas` are the schema's components by name.
    """

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._field_examples = collect_field_examples()

    def add_to_operation(self, operation: dict[str, Any]) -> None:
        """Add an example to the request body and to each response that has none."""
        self._add_example(operation.get("requestBody", {}), is_request=True)
        for response in operation["responses"].values():
            self._add_example(response, is_request=False)

    def generate(
        self,
        schema: dict[str, Any],
        name: str = "",
        component: str = "",
        *,
        is_request: bool = False,
    ) -> Any:
        """Return a valid value of `schema`, which describes the field `name` of `component`.

        Read-only fields are left out of requests.
        """
        component = self._component_name(schema) or component
        schema = self._resolve(schema)
        for key in ("example", "default"):
            if schema.get(key) not in (None, ""):
                return deepcopy(schema[key])
        example = self._field_example(name, component)
        if "enum" in schema:
            allowed = [value for value in schema["enum"] if value not in ("", None)]
            preferred = [value for value in (example, "completed") if value in allowed]
            return [*preferred, *allowed][0]
        if isinstance(example, list | dict):
            return deepcopy(example)
        match schema.get("type"):
            case "object":
                return self._generate_object(schema, component, is_request)
            case "array":
                return [self.generate(schema["items"], name, component, is_request=is_request)]
        return self._generate_scalar(schema, name, component)

    def _add_example(self, body: dict[str, Any], *, is_request: bool) -> None:
        for media_type, content in body.get("content", {}).items():
            has_example = "example" in content or "examples" in content
            is_described = "json" in media_type or "form" in media_type
            if is_described and "schema" in content and not has_example:
                content["example"] = self.generate(content["schema"], is_request=is_request)

    def _generate_object(
        self, schema: dict[str, Any], component: str, is_request: bool
    ) -> dict[str, Any]:
        return {
            name: self.generate(field, name, component, is_request=is_request)
            for name, field in schema.get("properties", {}).items()
            if not (is_request and self._is_left_out(field, name, component))
        }

    def _is_left_out(self, field: dict[str, Any], name: str, component: str) -> bool:
        return field.get("readOnly", False) or self._field_example(name, component) is LEFT_OUT

    def _generate_scalar(self, schema: dict[str, Any], name: str, component: str) -> Any:
        type_name = schema.get("type", "string")
        example = self._field_example(name, component)
        is_right_type = type(example) is type(TYPE_EXAMPLES.get(type_name))
        if is_right_type and len(str(example)) <= schema.get("maxLength", DEFAULT_MAX_CHARS):
            return example
        if type_name == "string":
            if schema.get("format") in FORMAT_EXAMPLES:
                return FORMAT_EXAMPLES[schema["format"]]
            if name.endswith("_id") or name == "id":
                return UUID_EXAMPLE
            return name.replace("_", " ") or TYPE_EXAMPLES["string"]
        value = TYPE_EXAMPLES.get(type_name, {})
        return value if type_name == "boolean" else max(value, schema.get("minimum", value))

    def _field_example(self, name: str, component: str) -> Any:
        for key, example in self._field_examples.items():
            part, dot, field = key.partition(".")
            if dot and field == name and part in component:
                return example
        return self._field_examples.get(name)

    def _component_name(self, schema: dict[str, Any]) -> str:
        """Return the name of the component that `schema` refers to, or an empty string."""
        parts = [schema, *schema.get("allOf", ()), *schema.get("oneOf", ())]
        names = (part["$ref"].rsplit("/", 1)[-1] for part in parts if "$ref" in part)
        return next(names, "")

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return `schema` without references, alternatives (the first is used) and `allOf`."""
        if "$ref" in schema:
            return self._resolve(self._schemas[schema["$ref"].rsplit("/", 1)[-1]])
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return self._resolve(schema[key][0]) | _omit(schema, key)
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                merged |= self._resolve(part)
            return merged | _omit(schema, "allOf")
        return schema


def collect_field_examples() -> Mapping[str, Any]:
    """Return the general examples and those of all apps."""
    app_examples = (getattr(config, "schema_examples", {}) for config in apps.get_app_configs())
    return ChainMap(FIELD_EXAMPLES, *app_examples)


def _omit(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
