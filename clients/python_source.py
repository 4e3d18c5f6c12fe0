"""The source of a program that makes the calls with the generated Python client."""

import re
from collections.abc import Iterator
from typing import Any

from clients.calls import Call, Expression
from clients.operations import BYTES, Schema, fill_in

RUN = "python"
CONSTRUCTORS = {
    "uuid": "UUID({})",
    "date-time": "datetime.fromisoformat({})",
    "date": "date.fromisoformat({})",
    "binary": "file_of({})",
}
IMPORTS = """\
from datetime import date, datetime
from uuid import UUID

from bureau_client.models import *
from bureau_client.api import *
from support import *

"""


def build_python(schema: Schema, calls: list[Call]) -> str:
    modules = {(schema.operations[c.operation].description["tags"][0], c.operation) for c in calls}
    imports = [
        f"from bureau_client.api.{tag.replace('-', '_')} import {operation}\n"
        for tag, operation in sorted(modules)
    ]
    lines = [_build_call(schema, call, number) for number, call in enumerate(calls)]
    return "".join([*imports, IMPORTS, *lines])


def _build_call(schema: Schema, call: Call, number: int) -> str:
    operation = schema.operations[call.operation]
    arguments = ", ".join([f"client={call.by}", *_build_arguments(schema, call, number)])
    status = operation.get_status(call)
    function = "check" if status < 300 else "check_refused"
    answer = (
        f"{function}({call.operation!r}, {status}, {call.operation}.sync_detailed({arguments}))"
    )
    return f"{call.saves} = {answer}\n" if call.saves else f"{answer}\n"


def _build_arguments(schema: Schema, call: Call, number: int) -> Iterator[str]:
    operation = schema.operations[call.operation]
    for place in ("path", "query", "header"):
        for name, (described, value) in operation.get_parameters(call, place).items():
            enum = _to_class_name(f"{call.operation}_{name}")
            text = _build_value(described, fill_in(value, run=RUN, number=number), enum=enum)
            yield f"{_build_name(name)}={text}"
    if operation.media_type == BYTES:
        yield f"body=file_of({operation.get_body(call)!r})"
    elif operation.media_type:
        body = fill_in(operation.get_body(call), run=RUN, number=number)
        yield f"body={_build_model(schema, operation.body_schema, body)}"


def _build_name(name: str) -> str:
    return {"from": "from_"}.get(name, re.sub(r"\W", "_", name).lower())


def _build_model(schema: Schema, described: dict[str, Any], body: dict[str, Any]) -> str:
    model = described["$ref"].rpartition("/")[2]
    properties = schema.resolve(described)["properties"]
    fields = (f"{n}={_build_field(model, n, properties[n], v)}" for n, v in body.items())
    return f"{model}({', '.join(fields)})"


def _build_field(model: str, name: str, described: dict[str, Any], value: Any) -> str:
    if isinstance(value, dict):
        suffix = "Type0" if described.get("nullable") else ""
        return f"{model}{_to_class_name(name)}{suffix}.from_dict({value!r})"
    alternatives = [described, *described.get("allOf", ()), *described.get("oneOf", ())]
    enums = [part["$ref"].rpartition("/")[2] for part in alternatives if "$ref" in part]
    return f"{enums[0]}({value!r})" if enums else _build_value(described, value)


def _build_value(described: dict[str, Any], value: Any, *, enum: str = "") -> str:
    if isinstance(value, Expression):
        return str(value)
    if described.get("type") == "array" and "enum" in described["items"]:
        return f"list({enum}Item)"
    if "enum" in described:
        return f"{enum}({value!r})"
    template = CONSTRUCTORS.get(described.get("format", ""), "{}")
    return template.format(repr(value))


def _to_class_name(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[\W_]", name))
