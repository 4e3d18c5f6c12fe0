"""Examples for the API's description, made of the schemas: of names, types and formats."""

from copy import deepcopy
from typing import Any

ID = "01980c1e-6a40-7c11-b1f4-2d9a8c7e5f03"
FORMATS = {
    "uuid": ID,
    "date-time": "2026-03-14T09:30:00Z",
    "date": "2026-03-14",
    "email": "mia@example.com",
    "uri": "https://example.com/hook",
    "decimal": "29.99",
    "binary": "(the file)",
    "ip": "203.0.113.7",
}
TYPES: dict[str, Any] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True}
# What people would write in fields of these names.
NAMES: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2ln",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2ln",
    "token_type": "bearer",
    "expires_in": 1800,
    "password": "violet-anchor-42",
    "current_password": "violet-anchor-42",
    "new_password": "amber-harbour-17",
    "username": "mia",
    "full_name": "Mia Berg",
    "name": "Cooling pump",
    "code": "acme",
    "company_name": "Acme Ltd",
    "title": "Pump failure",
    "raw_text": "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one.",
    "text": "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one.",
    "summary": "Bob replaced the failed cooling pump.",
    "description": "A pump for cooling circuits of up to 40 kW.",
    "category": "Pumps",
    "sku": "PUMP-40",
    "stock": 12,
    "model": "gpt-4o-mini",
    "language": "English",
    "error": "",
    "omitted": "",
    "user_agent": "curl/8.5",
    "url": "https://example.com/hook",
    "file_key": "2026/run-7/frame-0001.png",
    "local_directory": "run-7",
    "bucket_name": "acme-field-data",
    "aws_region": "eu-central-1",
    "cost_usd": "0.000213",
    "total_pages": 1,
    "total": 1,
    "page": 1,
    "page_size": 10,
}
# What they would write where the schema's own name has this part.
OWNED: dict[str, dict[str, Any]] = {
    "Company": {"name": "Acme Ltd"},
    "Project": {"name": "North yard", "description": "Drone surveys of the north yard."},
    "Cycle": {"name": "Spring survey", "number": 1, "description": "The first round."},
    "Template": {"name": "Minutes"},
    "User": {"title": "Engineer"},
}


class Examples:
    """Examples of `schemas`, the components of one description."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas

    def add_to(self, operation: dict[str, Any]) -> None:
        """One for the body and one for each answer, wherever the view has given none."""
        self._add(operation.get("requestBody", {}), is_request=True)
        for response in operation["responses"].values():
            self._add(response, is_request=False)

    def of(
        self, schema: dict[str, Any], name: str = "", owner: str = "", *, is_request: bool = False
    ) -> Any:
        """A value that `schema` allows; of an object's read-only fields only in an answer."""
        owner = self._owner(schema) or owner
        schema = self._resolved(schema)
        for key in ("example", "default"):
            if schema.get(key) not in (None, ""):
                return deepcopy(schema[key])
        if "enum" in schema:
            allowed = [value for value in schema["enum"] if value not in ("", None)]
            return "completed" if "completed" in allowed else allowed[0]
        match schema.get("type"):
            case "object":
                return self._object(schema, owner, is_request)
            case "array":
                return [self.of(schema["items"], name, owner, is_request=is_request)]
        return self._simple(schema, name, owner)

    def _add(self, body: dict[str, Any], *, is_request: bool) -> None:
        for media_type, content in body.get("content", {}).items():
            given = "example" in content or "examples" in content
            if "json" in media_type and "schema" in content and not given:
                content["example"] = self.of(content["schema"], is_request=is_request)

    def _object(self, schema: dict[str, Any], owner: str, is_request: bool) -> dict[str, Any]:
        return {
            name: self.of(field, name, owner, is_request=is_request)
            for name, field in schema.get("properties", {}).items()
            if not (is_request and field.get("readOnly"))
        }

    def _simple(self, schema: dict[str, Any], name: str, owner: str) -> Any:
        kind = schema.get("type", "string")
        own = (values for part, values in OWNED.items() if part in owner)
        named = next((values[name] for values in own if name in values), NAMES.get(name))
        if type(named) is type(TYPES.get(kind)) and len(str(named)) <= schema.get("maxLength", 999):
            return named
        if kind == "string":
            if schema.get("format") in FORMATS:
                return FORMATS[schema["format"]]
            if name.endswith("_id") or name == "id":
                return ID
            return name.replace("_", " ") or TYPES[kind]
        value = TYPES.get(kind, {})
        return value if kind == "boolean" else max(value, schema.get("minimum", value))

    def _owner(self, schema: dict[str, Any]) -> str:
        """The name of the component that a schema stands for, alone or combined with others."""
        inner = [schema, *schema.get("allOf", ()), *schema.get("oneOf", ())]
        found = (part["$ref"].rsplit("/", 1)[-1] for part in inner if "$ref" in part)
        return next(found, "")

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Without references, the first of several forms, and what is combined in one."""
        if "$ref" in schema:
            return self._resolved(self._schemas[schema["$ref"].rsplit("/", 1)[-1]])
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return self._resolved(schema[key][0]) | _without(schema, key)
        if "allOf" in schema:
            whole: dict[str, Any] = {}
            for part in schema["allOf"]:
                whole |= self._resolved(part)
            return whole | _without(schema, "allOf")
        return schema


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
