"""The OpenAPI schema: what all operations have in common.

A view describes itself by its serializers, docstrings and `extend_schema`. The summary, errors,
headers and examples are derived from those, from its permissions and from the HTTP method.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.plumbing import force_instance, get_doc, get_lib_doc_excludes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.fields import CharField, DecimalField, FileField
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer as BaseSerializer
from rest_framework.throttling import BaseThrottle

from common.api import sparse_fields
from common.api.idempotency import MAX_KEY_CHARS
from common.api.nulls import accepts_null
from common.api.schema_components import HEADERS, PROBLEM_TYPES, build_components, build_references
from common.api.schema_decimals import describe_decimal
from common.api.schema_descriptions import describe_schemas
from common.api.schema_examples import SchemaExamples
from common.api.schema_operation_ids import build_operation_id
from common.api.serializers import ModelSerializer, Serializer, StrictMixin

ACTION_SUMMARIES = {
    "list": "List {plural}",
    "create": "Create {singular}",
    "retrieve": "Read {singular}",
    "update": "Change {singular}",
    "partial_update": "Change {singular}, as PUT does",
    "destroy": "Delete {singular}",
}
REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
NEGATION = r"^(?![\s\S]*"
# A character that `str.strip` keeps.
NOT_BLANK = r"[^\s\u001c-\u001f\u0085]"
JSON, MULTIPART = "application/json", "multipart/form-data"
HEADER_PARAMETERS = {
    "Idempotency-Key": "A unique name for this request: repeating it creates nothing twice.",
    "If-Match": "The `ETag` you have read: 412 if the row has changed since.",
    "If-None-Match": "The `ETag` you have: 304 without a body if nothing has changed.",
}
HEADER_SCHEMAS = {
    # Printable ASCII; HTTP removes spaces at the ends.
    "Idempotency-Key": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_CHARS,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    }
}


class AutoSchema(BaseAutoSchema):
    """Describes an operation with its errors, headers and summary.

    A view declares what cannot be derived by two attributes: `problem_statuses`, its additional
    error statuses, and `supports_if_match`. A serializer names in `optional_in_responses` the
    fields that a response may lack. A field declares with `schema_pattern` what a text must match.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        for status, response in responses.items():
            response["description"] = response["description"] or HTTPStatus(int(status)).phrase
            response.setdefault("headers", {}).update(
                build_references("headers", self._response_headers())
            )
        if self._is_cached():
            responses["304"] = {"description": "Nothing has changed."}
        for problem_status in sorted(set(self._problem_statuses(operation))):
            component = PROBLEM_TYPES[problem_status].component
            reference = {"$ref": f"#/components/responses/{component}"}
            responses.setdefault(str(problem_status), reference)
        if self.method == "PUT" and getattr(self.view, "action", "") in ("update", ""):
            operation["x-partial"] = True
        if self.method == "PATCH" and getattr(self.view, "action", "") not in (
            "partial_update",
            "",
        ):
            operation["requestBody"]["required"] = True
        for parameter in operation.get("parameters", ()):
            if not parameter.get("description"):
                parameter["description"] = self._describe_parameter(parameter)
            if parameter["in"] == "query" and not parameter.get("required"):
                # Forms send empty fields; they count as left out.
                parameter["allowEmptyValue"] = True
        return operation

    def get_operation_id(self) -> str:
        action = getattr(self.view, "action", "")
        actions = getattr(self.view, "action_map", None) or {}
        # A viewset adds "head" with its first request.
        methods = [m for m, name in actions.items() if name == action and m != "head"]
        if not action:
            methods = [m for m in self.view.allowed_methods if m not in ("OPTIONS", "HEAD")]
        return build_operation_id(
            self._tokenize_path(), action=action, method=self.method, methods=methods
        )

    def get_summary(self) -> str:
        """Return the handler's first docstring sentence, else its action and model."""
        if docstring := get_doc(self._handler()):
            return _first_sentence(docstring)
        template = ACTION_SUMMARIES.get(getattr(self.view, "action", ""))
        model = getattr(getattr(self.view, "queryset", None), "model", None)
        if template is None or model is None:
            return _first_sentence(get_doc(type(self.view)))
        name, plural = model._meta.verbose_name, model._meta.verbose_name_plural
        article = "an" if name[0] in "aeio" else "a"
        return template.format(singular=f"{article} {name}", plural=plural)

    def get_tags(self) -> list[str]:
        return [self._tokenize_path()[0]]

    def map_parsers(self) -> list[str]:
        """Describe one media type, since several of one body break generated clients."""
        return [MULTIPART if self._accepts_file() else JSON]

    def get_override_parameters(self) -> list[Any]:
        parameters = [*super().get_override_parameters(), *self._header_parameters()]
        view: Any = self.view
        if self.method == "GET" and sparse_fields.PARAMETER in view.read_parameters:
            parameters.append(sparse_fields.build_parameter(view))
        return parameters

    def get_extensions(self) -> dict[str, Any]:
        return {"x-app": type(self.view).__module__.partition(".")[0]}

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """Require what a response always has, and forbid what a request may not have."""
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        serializer = force_instance(serializer)
        if direction == "response":
            optional = getattr(serializer, "optional_in_responses", ())
            schema["required"] = [name for name in schema["properties"] if name not in optional]
        elif isinstance(serializer, StrictMixin):
            schema["additionalProperties"] = False
            fields: Any = serializer.fields  # type: ignore[attr-defined]
            for name, described in schema["properties"].items():
                _add_pattern(fields[name], described)
            if has_file_field(serializer):
                # A form has no null.
                for field in schema["properties"].values():
                    field.pop("nullable", None)
                    if "enum" in field:
                        field["enum"] = [value for value in field["enum"] if value is not None]
        return schema

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any] | None:
        """Mark the fields of a body that accept `null` without being nullable."""
        schema: Any = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, DecimalField):
            return describe_decimal(field, schema, is_request=direction == "request")
        if direction == "request" and accepts_null(field, is_new_row=self.method == "POST"):
            schema["nullable"] = True
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """Negate the pattern of a validator with `inverse_match`."""
        super()._insert_field_validators(field, schema)
        if any(getattr(validator, "inverse_match", False) for validator in field.validators):
            # Drop the empty-string alternative: a negated pattern matches the empty string.
            schema.update(schema.pop("oneOf", [{}])[0])
            schema["pattern"] = f"{NEGATION}{schema['pattern']})"
        elif "oneOf" in schema:
            # A validator that ignores formats matches an empty string by both alternatives.
            schema["anyOf"] = schema.pop("oneOf")

    def _handler(self) -> Any:
        action = getattr(self.view, "action", None) or self.method.lower()
        return getattr(self.view, action, None)

    def _describe_parameter(self, parameter: dict[str, Any]) -> str:
        """Return the label of a filter, or whose id a path names."""
        if parameter["in"] == "query":
            filters = getattr(getattr(self.view, "filterset_class", None), "base_filters", {})
            return str(getattr(filters.get(parameter["name"]), "label", None) or "")
        queryset = getattr(self.view, "queryset", None)
        row = "row" if queryset is None else queryset.model._meta.verbose_name
        return f"The id of the {row}."

    def _accepts_file(self) -> bool:
        serializer = force_instance(self.get_request_serializer())
        return isinstance(serializer, BaseSerializer) and has_file_field(serializer)

    def _is_idempotent(self) -> bool:
        """Return whether the handler, or one that it overrides, is `idempotent`."""
        name = getattr(self.view, "action", None) or "post"
        handlers = (vars(cls).get(name) for cls in type(self.view).__mro__)
        accepts_key = any(getattr(h, "accepts_idempotency_key", False) for h in handlers)
        return self.method == "POST" and accepts_key

    def _supports_if_match(self) -> bool:
        """Return whether the operation changes a row of a view with `supports_if_match`."""
        is_write = self.method not in SAFE_METHODS and "{" in self.path
        return is_write and getattr(self.view, "supports_if_match", False)

    def _is_cached(self) -> bool:
        route = self.path.replace("{id}", "<uuid:pk>")
        return self.method == "GET" and route in settings.BYTE_CACHE

    def _header_parameters(self) -> Iterator[OpenApiParameter]:
        is_supported = {
            "Idempotency-Key": self._is_idempotent(),
            "If-Match": self._supports_if_match(),
            "If-None-Match": self._is_cached(),
        }
        for name, description in HEADER_PARAMETERS.items():
            if is_supported[name]:
                schema = HEADER_SCHEMAS.get(name, {"type": "string"})
                yield OpenApiParameter(
                    name, schema, OpenApiParameter.HEADER, description=description
                )

    def _response_headers(self) -> Iterator[str]:
        yield "X-Request-ID"
        if self._is_cached():
            yield "ETag"
        if self._throttles():
            yield from (name for name in HEADERS if name.startswith("RateLimit-"))

    def _throttles(self) -> list[type[BaseThrottle]]:
        # Not `get_throttles`, which may depend on the request: here is only the view.
        return list(self.view.throttle_classes)

    def _problem_statuses(self, operation: dict[str, Any]) -> Iterator[int]:
        yield from getattr(self.view, "problem_statuses", ())
        yield 503
        if self._throttles():
            yield 429
        if "requestBody" in operation:
            yield from (400, 413, 415)
        elif any(p["in"] == "query" for p in operation.get("parameters", ())):
            yield 400
        if "{" in self.path:
            yield 404
            if self.method not in SAFE_METHODS:
                yield 409
        if self._is_idempotent():
            yield from (400, 409, 422)
        if self._supports_if_match():
            yield 412
        if (security := operation.get("security")) and {} not in security:
            yield 401
            if self.method not in SAFE_METHODS or self._can_deny_reads():
                yield 403

    def _can_deny_reads(self) -> bool:
        permissions = self.view.get_permissions()
        return any(getattr(p, "can_deny_reads", False) for p in permissions)


def _add_pattern(field: Any, schema: dict[str, Any]) -> None:
    """Add the `schema_pattern` of a text field, or that of a text that can't be blank."""
    if not isinstance(field, CharField) or {"format", "anyOf"} & schema.keys():
        return
    if pattern := getattr(field, "schema_pattern", ""):
        schema["pattern"] = pattern
    elif field.trim_whitespace and not field.allow_blank:
        # A negated pattern contains no condition on what must be there.
        pattern = schema.get("pattern", "")
        is_negated = pattern.startswith(NEGATION)
        schema["pattern"] = f"{pattern}[\\s\\S]*{NOT_BLANK}" if is_negated else pattern or NOT_BLANK


def has_file_field(serializer: Any) -> bool:
    """Return whether a request may send a file."""
    return any(isinstance(f, FileField) and not f.read_only for f in serializer.fields.values())


def _first_sentence(docstring: str) -> str:
    paragraph = docstring.partition("\n\n")[0].replace("\n", " ")
    return paragraph.partition(". ")[0].rstrip(".")


class CachedSchemaGenerator(SchemaGenerator):
    """Generates the schema once per process: it takes 0.1 s and is the same for all clients."""

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        with _schema_lock:
            return _cached_schema()


# Generating it twice at once fails: drf-spectacular loads its extensions while it runs.
_schema_lock = Lock()


@cache
def _cached_schema() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


def get_doc_excludes() -> list[type]:
    """Return the base classes whose docstrings must not describe their subclasses."""
    return [*get_lib_doc_excludes(), Serializer, ModelSerializer]


def postprocess_schema(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the shared components, the examples and the tags."""
    components = result["components"]
    for section, entries in build_components().items():
        components.setdefault(section, {}).update(entries)
    describe_schemas(components["schemas"])
    examples = SchemaExamples(components["schemas"])
    operations = [o for path in result["paths"].values() for o in path.values()]
    for operation in operations:
        if operation.pop("x-partial", False):
            _make_fields_optional(operation, components["schemas"])
        examples.add_to_operation(operation)
    remove_unused_schemas(result)
    result["tags"] = _tags(operations)
    result["x-tagGroups"] = _tag_groups(operations, [tag["name"] for tag in result["tags"]])
    return result


def remove_unused_schemas(result: dict[str, Any]) -> None:
    """Remove the components that nothing refers to, such as bodies of read-only fields."""
    schemas = result["components"]["schemas"]
    while unused := schemas.keys() - set(REFERENCE.findall(json.dumps(result, default=str))):
        for name in unused:
            del schemas[name]


def _make_fields_optional(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Describe the body of a PUT like that of a PATCH: all fields are optional."""
    operation.get("requestBody", {}).pop("required", None)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        prefix, _, name = content["schema"].get("$ref", "").rpartition("/")
        if f"Patched{name}" in schemas:
            content["schema"] = {"$ref": f"{prefix}/Patched{name}"}


def _tags(operations: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the tags in the order of `API_TAGS`; tags that it does not have come last."""
    used = {tag for operation in operations for tag in operation["tags"]}
    ordered = dict.fromkeys([*settings.API_TAGS, *sorted(used)])
    return [
        {"name": tag} | ({"description": text} if (text := settings.API_TAGS.get(tag, "")) else {})
        for tag in ordered
        if tag in used
    ]


def _tag_groups(operations: list[dict[str, Any]], tags: list[str]) -> list[dict[str, Any]]:
    """Group the tags by app, for ReDoc's table of contents."""
    apps = {tag: operation["x-app"] for operation in operations for tag in operation["tags"]}
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(apps[tag].capitalize(), []).append(tag)
    return [{"name": name, "tags": tags} for name, tags in groups.items()]
