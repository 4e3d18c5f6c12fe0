"""The operations of an OpenAPI schema, and the arguments of calls of them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clients.calls import Call, Expression

BYTES = "application/octet-stream"
FORMAT_VALUES = {
    "uuid": "01980c1e-6a40-7c11-b1f4-2d9a8c7e5f03",
    "date-time": "2026-03-14T09:30:00+00:00",
    "date": "2026-03-14",
}
TYPE_VALUES: dict[str, Any] = {"string": "pump", "integer": 1, "number": 20.0, "boolean": True}
# They match each row, or the row that was just created.
HEADER_VALUES = {"If-Match": "*", "If-None-Match": '"none"', "Idempotency-Key": "{run}-{number}"}


@dataclass(frozen=True)
class Operation:
    """An operation: its method, its path and its description in the schema."""

    method: str
    path: str
    description: dict[str, Any]

    @property
    def media_type(self) -> str:
        return next(iter(self._contents), "")

    @property
    def body_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self._contents[self.media_type]["schema"]
        return schema

    @property
    def _contents(self) -> dict[str, Any]:
        return self.description.get("requestBody", {}).get("content", {})  # type: ignore[no-any-return]

    def get_status(self, call: Call) -> int:
        """Return the status that the schema documents, and the call expects."""
        statuses = [int(status) for status in self.description["responses"]]
        expected = call.status or next(s for s in statuses if 200 <= s < 300)
        assert expected in statuses, f"{call.operation}: {expected} is not documented"
        return expected

    def get_body(self, call: Call) -> Any:
        """Return the body; None if there is none."""
        if not self.media_type:
            return None
        if self.media_type == BYTES:
            return "content"
        body = self._contents[self.media_type]["example"] | call.body
        return {name: value for name, value in body.items() if value is not None}

    def get_parameters(self, call: Call, place: str) -> dict[str, tuple[dict[str, Any], Any]]:
        """Return `{name: (schema, value)}` of the parameters in `path`, `query` or `header`."""
        given = {"path": {"id": call.id}, "query": call.query}.get(place, HEADER_VALUES)
        return {
            p["name"]: (p["schema"], given.get(p["name"]) or build_value(p["schema"]))
            for p in self.description.get("parameters", ())
            if p["in"] == place and (place != "query" or p.get("required") or call.all_parameters)
        }


class Schema:
    """An OpenAPI schema, with its operations by id."""

    def __init__(self, file: Path) -> None:
        self.document: dict[str, Any] = json.loads(file.read_text())
        self.operations = {
            description["operationId"]: Operation(method, path, description)
            for path, methods in self.document["paths"].items()
            for method, description in methods.items()
        }

    def check_calls(self, calls: Iterable[Call]) -> None:
        """Fail if an operation has no call, or a call no operation."""
        names = {call.operation for call in calls}
        without_call, unknown = self.operations.keys() - names, names - self.operations.keys()
        assert not without_call, f"Add calls to clients/calls.py: {sorted(without_call)}"
        assert not unknown, f"Not in the schema: {sorted(unknown)}"

    def add_parameters(self, calls: Iterable[Call]) -> Iterator[Call]:
        """Yield the calls, and each that may have query parameters once more, with all of them."""
        for call in calls:
            yield call
            operation, full = self.operations[call.operation], replace(call, all_parameters=True)
            if operation.get_parameters(full, "query") != operation.get_parameters(call, "query"):
                yield replace(full, saves="")

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return what `schema` refers to, or itself."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["schemas"][name] if name else schema


def build_value(schema: dict[str, Any]) -> Any:
    """Return a value of a parameter."""
    if schema.get("type") == "array":
        return schema["items"]["enum"]
    if "enum" in schema:
        return next(value for value in schema["enum"] if value)
    return FORMAT_VALUES.get(schema.get("format", ""), TYPE_VALUES[schema.get("type", "string")])


def fill_in(value: Any, *, run: str, number: int) -> Any:
    """Replace the placeholders in all texts of `value`."""
    if isinstance(value, str) and not isinstance(value, Expression):
        return value.replace("{run}", run).replace("{number}", str(number))
    if isinstance(value, dict):
        return {name: fill_in(v, run=run, number=number) for name, v in value.items()}
    return value
