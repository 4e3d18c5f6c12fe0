"""Descriptions for the OpenAPI schema of fields and parameters that have none of their own.

A `help_text` or `label` in the code wins. An app describes fields that need none in the code with
a dict `schema_descriptions` on its `AppConfig`. A key is the name of a field, or
`Component.field` for the schemas with `Component` in their name.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps

FIELD_DESCRIPTIONS = {
    "id": "The id of the row.",
    "created_at": "When the row was created.",
    "updated_at": "When the row was last changed.",
    "company_id": "The id of the company that owns the row.",
    "user_id": "The id of the user who created the row.",
    "name": "The name.",
    "description": "What this is, for people.",
    "status": "The state of the work.",
    "attempts": "How often the work was started.",
    "error": "Why the work has failed; else empty.",
    "progress": "The part of the work that is done, from 0 to 1.",
    "started_at": "When the last attempt began; null before that.",
    "finished_at": "When the work ended; null before that.",
    "is_active": "Whether it is in use.",
    "items": "The rows of this page.",
    "total": "The number of rows on all pages.",
    "page": "The number of this page, from 1.",
    "page_size": "The largest number of rows on a page.",
    "total_pages": "The number of pages.",
    "type": "A URN that identifies the kind of error.",
    "title": "The name of the HTTP status.",
    "field": "The name of the field or parameter; dotted inside lists and objects (`texts.3`).",
    "code": "The kind of error, for programs; never changes.",
    "message": "What is wrong, for people; the text may change.",
    "Problem.status": "The HTTP status.",
}


def describe_schemas(schemas: dict[str, Any]) -> None:
    """Add the missing descriptions of the fields of all components."""
    descriptions = collect_descriptions()
    for component, schema in schemas.items():
        for name, properties in _iterate_fields(schema):
            text = _find_description(descriptions, component, name)
            if text and not properties[name].get("description"):
                properties[name] = _add_description(properties[name], text)


def collect_descriptions() -> Mapping[str, str]:
    """Return the descriptions of all apps, then the general ones."""
    own = (getattr(config, "schema_descriptions", {}) for config in apps.get_app_configs())
    return ChainMap(*own, FIELD_DESCRIPTIONS)


def _iterate_fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each field, inner ones too, with the dict of fields that has it."""
    properties = schema.get("properties", {})
    for name in list(properties):
        yield name, properties
        for inner in (properties[name], properties[name].get("items", {})):
            yield from _iterate_fields(inner)


def _find_description(descriptions: Mapping[str, str], component: str, name: str) -> str:
    """Return the description for the longest part of the component's name that has one."""
    keys = (key for key in descriptions if key.endswith(f".{name}"))
    parts = [key.partition(".")[0] for key in keys]
    matching = max((part for part in parts if part in component), key=len, default="")
    return descriptions.get(f"{matching}.{name}") or descriptions.get(name, "")


def _add_description(schema: dict[str, Any], text: str) -> dict[str, Any]:
    # What stands beside a reference is ignored.
    if "$ref" in schema:
        return {"allOf": [schema], "description": text}
    return {**schema, "description": text}
