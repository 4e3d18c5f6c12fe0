"""The query parameters that each route knows. All others are refused."""

from collections.abc import Sequence
from typing import Any

from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from common.api.text import find_nearest

# Parameters of every route: `format` chooses between JSON and the browsable API.
GENERIC_PARAMETERS = ("format",)
# Those that may be sent several times. For others, all values but one would be dropped.
LIST_PARAMETERS = ("fields",)
# Two names for one parameter. A route that knows one of them also accepts the other.
ALIASES = (
    ("search", "q"),
    ("ordering", "sort_by"),
    ("page_size", "per_page"),
    ("created_after", "from"),
    ("created_before", "to"),
)
MAX_PARAMETERS_NAMED = 20


def is_list_request(view: Any, method: str) -> bool:
    """Return whether the request reads a list, to which filters, order and pages apply."""
    is_collection = getattr(view, "action", "") == "list" or getattr(view, "detail", None) is False
    return is_collection and method in ("GET", "HEAD")


def get_parameters(view: Any, method: str) -> set[str]:
    """Return the parameters of a request, without their aliases.

    These are the view's own, and for a list those of its filters, order and pages.
    """
    names = {*GENERIC_PARAMETERS, *view.query_parameters}
    if method in ("GET", "HEAD"):
        names |= {*view.read_parameters}
    return names | _list_parameters(view) if is_list_request(view, method) else names


def get_aliases(names: set[str]) -> dict[str, str]:
    """Return `{alias: name}` for the aliases that a view with the parameters `names` accepts."""
    pairs = [*ALIASES, *((alias, name) for name, alias in ALIASES)]
    return {alias: name for name, alias in pairs if name in names and alias not in names}


def get_accepted_parameters(callback: Any) -> set[str]:
    """Return all names that the GET of a routed viewset accepts."""
    view = callback.cls(**callback.initkwargs)
    view.action = callback.actions["get"]
    names = get_parameters(view, "GET")
    return {*names, *get_aliases(names)}


def check_parameters(request: Request, view: Any) -> dict[str, str]:
    """Refuse unknown and repeated parameters, and rename aliases.

    Return `{name: alias}` of the aliases that were sent.
    """
    names = get_parameters(view, request.method or "")
    aliases = get_aliases(names)
    errors = {
        **_repeated_parameter_errors(request.query_params),
        **_unknown_parameter_errors(request.query_params, {*names, *aliases}),
    }
    renamed = {aliases[sent]: sent for sent in request.query_params if sent in aliases}
    for name, alias in renamed.items():
        if name in request.query_params:
            message = f"`{alias}` is another name for `{name}`: send one of them."
            errors[alias] = [ErrorDetail(message, "repeated_parameter")]
    if errors:
        raise ValidationError(errors)
    if renamed:
        request._request.GET = _rename(request.query_params, renamed)  # type: ignore[assignment]
    return renamed


def parse_choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return the value of a parameter, or the first choice without it."""
    value = request.query_params.get(name) or choices[0]
    if value not in choices:
        message = f"Must be one of: {', '.join(choices)}."
        raise ValidationError({name: [ErrorDetail(message, "invalid_choice")]})
    return value


def _list_parameters(view: Any) -> set[str]:
    paginator = getattr(view, "paginator", None)
    sources = [paginator] if paginator else []
    names: set[str] = set()
    for backend_class in getattr(view, "filter_backends", ()):
        if not issubclass(backend_class, DjangoFilterBackend):
            sources.append(backend_class())
        elif filterset_class := getattr(view, "filterset_class", None):
            names |= set(filterset_class.base_filters)
    for source in sources:
        names |= {parameter["name"] for parameter in source.get_schema_operation_parameters(view)}
    return names


def _unknown_parameter_errors(query: QueryDict, known: set[str]) -> dict[str, list[ErrorDetail]]:
    unknown = sorted(set(query) - known)[:MAX_PARAMETERS_NAMED]
    return {name: [_unknown_parameter_error(name, known)] for name in unknown}


def _unknown_parameter_error(name: str, known: set[str]) -> ErrorDetail:
    message = f"Unknown parameter. Did you mean `{find_nearest(name, known)}`?"
    return ErrorDetail(message, "unknown_parameter")


def _repeated_parameter_errors(query: QueryDict) -> dict[str, list[ErrorDetail]]:
    names = {name for name, values in query.lists() if len(values) > 1}
    repeated = sorted(names.difference(LIST_PARAMETERS))[:MAX_PARAMETERS_NAMED]
    error = ErrorDetail("Send this parameter once.", "repeated_parameter")
    return {name: [error] for name in repeated}


def _rename(query: QueryDict, aliases: dict[str, str]) -> QueryDict:
    renamed = query.copy()
    for name, alias in aliases.items():
        renamed.setlist(name, renamed.pop(alias))
    return renamed
