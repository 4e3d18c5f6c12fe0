"""The source of a program that makes the calls with the generated TypeScript client."""

import json
from typing import Any

from clients.calls import Call, Expression
from clients.operations import BYTES, Operation, Schema, fill_in

RUN = "typescript"
NAMES = (
    *("absent", "admin", "agent", "anyone", "superuser", "worker"),
    *("check", "client_of", "first", "id_in", "signature_in"),
    *("serialize_bytes", "serialize_form"),
)
SERIALIZERS = {
    BYTES: 'bodySerializer: serialize_bytes, headers: {"Content-Type": "application/octet-stream"}',
    "multipart/form-data": "bodySerializer: serialize_form",
}


def build_typescript(schema: Schema, calls: list[Call]) -> str:
    imports = f'import {{ {", ".join(NAMES)} }} from "./support.js";\n'
    return imports + "".join(_build_call(schema, c, number) for number, c in enumerate(calls))


def _build_call(schema: Schema, call: Call, number: int) -> str:
    operation = schema.operations[call.operation]
    status = operation.get_status(call)
    options = fill_in(_build_options(operation, call), run=RUN, number=number)
    arguments = (
        f"{json.dumps(operation.path)}, {{ {', '.join(_build_entries(operation, options))} }}"
    )
    request = f"{call.by}.{operation.method.upper()}({arguments})"
    answer = f"check({json.dumps(call.operation)}, {status}, await {request});\n"
    return f"const {call.saves} = {answer}" if call.saves else answer


def _build_options(operation: Operation, call: Call) -> dict[str, Any]:
    places = {
        place: {name: value for name, (_, value) in operation.get_parameters(call, place).items()}
        for place in ("path", "query", "header")
    }
    params = {place: values for place, values in places.items() if values}
    body = operation.get_body(call)
    return ({"params": params} if params else {}) | ({} if body is None else {"body": body})


def _build_entries(operation: Operation, options: dict[str, Any]) -> list[str]:
    entries = [f"{name}: {_build_value(value)}" for name, value in options.items()]
    return [*entries, *filter(None, [SERIALIZERS.get(operation.media_type)])]


def _build_value(value: Any) -> str:
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, dict):
        fields = (f"{json.dumps(name)}: {_build_value(v)}" for name, v in value.items())
        return f"{{{', '.join(fields)}}}"
    return json.dumps(value)
