"""The `operationId`s of the OpenAPI schema, from which generators make the names of methods.

They are the fixed parts of the path and what the operation does: `notes_list`, `notes_create`,
`notes_summarize`, `auth_login`.
"""

from collections.abc import Sequence

STANDARD_ACTIONS = ("list", "create", "retrieve", "update", "partial_update", "destroy")
SUFFIXES = {
    "GET": "retrieve",
    "PUT": "update",
    "PATCH": "partial_update",
    "DELETE": "destroy",
}


def build_operation_id(
    path: Sequence[str], *, action: str, method: str, methods: Sequence[str]
) -> str:
    """Return the id of the operation that calls `action` by `method` at `path`.

    path: the fixed parts of the path.
    action: the method of a viewset; empty for other views.
    methods: all HTTP methods of that action.
    """
    name = "_".join(part.replace("-", "_") for part in path)
    suffix = _get_suffix(name, action, method, methods)
    return f"{name}_{suffix}" if suffix else name


def _get_suffix(name: str, action: str, method: str, methods: Sequence[str]) -> str:
    if action in STANDARD_ACTIONS:
        return action
    # A view without actions, or an action that several methods call.
    if not action or len(methods) > 1:
        return SUFFIXES.get(method, "")
    return "" if name.endswith(action) else action
