"""The API's description: what every operation has in common is said here, once.

A view says what is its own, by its serializers, docstrings and `extend_schema`. From them, its
permissions and its method follow the summary, the errors, the headers and an example.
"""

from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.plumbing import get_doc, get_lib_doc_excludes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import BaseThrottle

from common.api.examples import Examples
from common.api.problems import CONTENT_TYPE
from common.api.serializers import ModelSerializer, Serializer

VERBS = {
    "list": "List {many}",
    "create": "Create {one}",
    "retrieve": "Read {one}",
    "update": "Change {one}",
    "partial_update": "Change {one}, as PUT does",
    "destroy": "Delete {one}",
}
# What a status means in this API, with the code and the detail that an example shows.
PROBLEMS = {
    400: ("BadRequest", "A field or parameter is wrong; `errors` names each.", "validation_error"),
    401: ("NotAuthenticated", "No token, or one that is no longer good.", "not_authenticated"),
    403: ("Forbidden", "You may see this, but your role may not do that.", "permission_denied"),
    404: ("NotFound", "There is nothing here, or nothing that you may see.", "not_found"),
    409: ("Conflict", "The state of the row does not allow this.", "conflict"),
    411: ("LengthRequired", "The request needs a `Content-Length`.", "length_required"),
    412: ("PreconditionFailed", "The row is not what `If-Match` names.", "precondition_failed"),
    413: ("TooLarge", "The body is larger than this API takes.", "too_large"),
    415: (
        "UnsupportedMediaType",
        "The body's type is none of those below.",
        "unsupported_media_type",
    ),
    422: (
        "KeyReused",
        "This `Idempotency-Key` came with another body before.",
        "idempotency_key_reused",
    ),
    429: ("TooManyRequests", "Wait for `Retry-After` seconds.", "throttled"),
    503: ("Unavailable", "A part that this needs is away; try again soon.", "service_unavailable"),
}
HEADERS_OF_PROBLEMS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
HEADERS = {
    "X-Request-ID": ("Names this request in our logs.", {"type": "string"}),
    "ETag": ("The validator of what was read.", {"type": "string"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string", "example": "Bearer"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "example": 7}),
    "RateLimit-Limit": ("Requests that are allowed.", {"type": "integer"}),
    "RateLimit-Remaining": ("Requests that are left.", {"type": "integer"}),
    "RateLimit-Reset": ("Seconds until all are allowed again.", {"type": "integer"}),
}
PARAMETERS = {
    "Idempotency-Key": "Any name for this request: sent again with it, nothing is made twice.",
    "If-Match": "The `ETag` that was read: refused (412) where the row has changed since.",
    "If-None-Match": "The `ETag` that is known: 304 and no body where it still holds.",
}


class AutoSchema(BaseAutoSchema):
    """Describes an operation with its errors, its headers and a summary.

    What can't be seen from outside a view says by attributes: `problems`, more statuses that it
    answers with; `honours_if_match`.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        for status, response in responses.items():
            response["description"] = response["description"] or HTTPStatus(int(status)).phrase
            response.setdefault("headers", {}).update(_references("headers", self._headers()))
        if self._is_cached():
            responses["304"] = {"description": "What you know still holds."}
        for problem in sorted(set(self._problems(operation))):
            reference = {"$ref": f"#/components/responses/{PROBLEMS[problem][0]}"}
            responses.setdefault(str(problem), reference)
        if self.method == "PUT" and getattr(self.view, "action", "") in ("update", ""):
            operation["x-partial"] = True
        return operation

    def get_summary(self) -> str:
        """The first sentence of the handler's own docstring, or what its action does to what."""
        if own := get_doc(self._handler()):
            return own.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")
        verb = VERBS.get(getattr(self.view, "action", ""))
        model = getattr(getattr(self.view, "queryset", None), "model", None)
        if verb is None or model is None:
            doc: str = get_doc(type(self.view))
            return doc.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")
        one, many = model._meta.verbose_name, model._meta.verbose_name_plural
        article = "an" if one[0] in "aeio" else "a"
        return verb.format(one=f"{article} {one}", many=many)

    def get_tags(self) -> list[str]:
        return [self._tokenize_path()[0]]

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), *self._header_parameters()]

    def get_extensions(self) -> dict[str, Any]:
        return {"x-app": type(self.view).__module__.partition(".")[0]}

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """A pattern that must not be found is told as that, and not as one that must."""
        super()._insert_field_validators(field, schema)
        if any(getattr(validator, "inverse_match", False) for validator in field.validators):
            # Without the alternative of an empty string, which such a pattern allows anyway.
            schema.update(schema.pop("oneOf", [{}])[0])
            schema["pattern"] = rf"^(?![\s\S]*{schema['pattern']})"
        elif "oneOf" in schema:
            # Where formats are not looked at, an empty text is of both forms.
            schema["anyOf"] = schema.pop("oneOf")

    def _handler(self) -> Any:
        action = getattr(self.view, "action", None) or self.method.lower()
        return getattr(self.view, action, None)

    def _is_idempotent(self) -> bool:
        """Whether the handler, or one that it extends, is `idempotent`."""
        name = getattr(self.view, "action", None) or "post"
        handlers = (vars(cls).get(name) for cls in type(self.view).__mro__)
        takes = any(getattr(handler, "takes_idempotency_key", False) for handler in handlers)
        return self.method == "POST" and takes

    def _honours_if_match(self) -> bool:
        writes = self.method in ("PUT", "PATCH", "DELETE")
        return writes and getattr(self.view, "honours_if_match", False)

    def _is_cached(self) -> bool:
        route = self.path.replace("{id}", "<uuid:pk>")
        return self.method == "GET" and route in settings.BYTE_CACHE

    def _header_parameters(self) -> Iterator[OpenApiParameter]:
        has = {
            "Idempotency-Key": self._is_idempotent(),
            "If-Match": self._honours_if_match(),
            "If-None-Match": self._is_cached(),
        }
        for name, is_read in has.items():
            if is_read:
                yield OpenApiParameter(
                    name, str, OpenApiParameter.HEADER, description=PARAMETERS[name]
                )

    def _headers(self) -> Iterator[str]:
        yield "X-Request-ID"
        if self._is_cached():
            yield "ETag"
        if self._throttles():
            yield from (name for name in HEADERS if name.startswith("RateLimit-"))

    def _throttles(self) -> list[type[BaseThrottle]]:
        # By class: a view may choose among them by the request, of which there is none here.
        return list(self.view.throttle_classes)

    def _problems(self, operation: dict[str, Any]) -> Iterator[int]:
        yield from getattr(self.view, "problems", ())
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
        if self._honours_if_match():
            yield 412
        if (security := operation.get("security")) and {} not in security:
            yield 401
            if self.method not in SAFE_METHODS or self._may_refuse_to_show():
                yield 403

    def _may_refuse_to_show(self) -> bool:
        permissions = self.view.get_permissions()
        return any(getattr(p, "may_refuse_to_show", False) for p in permissions)


class Once(SchemaGenerator):
    """Describes the API once in a process: that takes a tenth of a second, and all get the same."""

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        return _described()


@cache
def _described() -> dict[str, Any]:
    description: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return description


def undocumented() -> list[type]:
    """Classes whose docstrings are for us, and say nothing of what is made of them."""
    return [*get_lib_doc_excludes(), Serializer, ModelSerializer]


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing: the components that all operations refer to, examples, and the tags."""
    components = result["components"]
    components.setdefault("schemas", {})["Problem"] = problem_schema()
    components["headers"] = {
        name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()
    }
    components["responses"] = {
        name: _problem_response(status, text, code)
        for status, (name, text, code) in PROBLEMS.items()
    }
    examples = Examples(components["schemas"])
    operations = [o for path in result["paths"].values() for o in path.values()]
    for operation in operations:
        if operation.pop("x-partial", False):
            _make_partial(operation, components["schemas"])
        examples.add_to(operation)
    result["tags"] = _tags(operations)
    result["x-tagGroups"] = _tag_groups(operations, [tag["name"] for tag in result["tags"]])
    return result


def _make_partial(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A PUT takes some of the fields, or none, as a PATCH does."""
    operation.get("requestBody", {}).pop("required", None)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        where, _, name = content["schema"].get("$ref", "").rpartition("/")
        if f"Patched{name}" in schemas:
            content["schema"] = {"$ref": f"{where}/Patched{name}"}


def problem_schema() -> dict[str, Any]:
    """RFC 9457's members, and ours."""
    text = {"type": "string"}
    field_error = {
        "type": "object",
        "properties": {"field": text, "code": text, "message": text},
        "required": ["field", "code", "message"],
    }
    properties: dict[str, Any] = {
        "type": text | {"format": "uri"},
        "title": text,
        "status": {"type": "integer"},
        "detail": text | {"description": "For people; may change."},
        "code": text | {"description": "For programs; stays."},
        "request_id": text | {"description": "Names this request in our logs."},
        "errors": {"type": "array", "items": field_error, "description": "Each wrong field."},
    }
    required = [name for name in properties if name != "errors"]
    return {
        "type": "object",
        "description": "Every error (RFC 9457).",
        "properties": properties,
        "required": required,
    }


def _problem_response(status: int, text: str, code: str) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"urn:bureau:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": text.replace("`", ""),
        "code": code,
        "request_id": "01980c1e-7f1a-7b3e-9d52-3f6a2f0c9b11",
    }
    if status == 400:
        error = {"field": "name", "code": "required", "message": "This field is required."}
        example |= {"detail": "name: This field is required.", "errors": [error]}
    names = ("X-Request-ID", *HEADERS_OF_PROBLEMS.get(status, ()))
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {
        "description": text,
        "headers": _references("headers", names),
        "content": {CONTENT_TYPE: content},
    }


def _references(kind: str, names: Any) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _tags(operations: list[dict[str, Any]]) -> list[dict[str, str]]:
    """In the order of `API_TAGS`; what is not named there comes last."""
    used = {tag for operation in operations for tag in operation["tags"]}
    texts = {tag: settings.API_TAGS.get(tag, "") for tag in [*settings.API_TAGS, *sorted(used)]}
    return [
        {"name": tag} | ({"description": text} if text else {})
        for tag, text in texts.items()
        if tag in used
    ]


def _tag_groups(operations: list[dict[str, Any]], tags: list[str]) -> list[dict[str, Any]]:
    """ReDoc's chapters: the apps."""
    apps = {tag: operation["x-app"] for operation in operations for tag in operation["tags"]}
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(apps[tag].capitalize(), []).append(tag)
    return [{"name": name, "tags": tags} for name, tags in groups.items()]
