"""The database's own refusals, told as the client's errors that they are."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import IntegrityError
from django.db.models import F, Model, UniqueConstraint
from django.db.models.constants import LOOKUP_SEP
from psycopg import errors
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from common.api.exceptions import Conflict


def as_api_exception(error: IntegrityError) -> APIException | None:
    """What a client should hear of a violated constraint; `None` where it is our own fault.

    Serializers check before they write, but of two requests at the same instant both may pass.
    """
    match error.__cause__:
        case errors.UniqueViolation() as violation:
            message = "A row with this value exists already."
            detail = [ErrorDetail(message, code="unique")]
            fields = _fields(violation.diag) or ["non_field_errors"]
            return ValidationError(dict.fromkeys(fields, detail))
        case errors.ForeignKeyViolation():
            return Conflict("A row that this refers to is gone, or other rows still refer to this.")
    return None


def _fields(diagnostic: errors.Diagnostic) -> list[str]:
    for model, constraint in _constraints(diagnostic.table_name or ""):
        if constraint.name == diagnostic.constraint_name:
            names = [*constraint.fields, *_names(constraint)]
            # What a row belongs to says where its value is taken; it is not what was chosen badly.
            return [n for n in names if not model._meta.get_field(n).is_relation] or names
    columns = re.match(r"Key \((?P<columns>[^)]*)\)", diagnostic.message_detail or "")
    return re.findall(r"\w+", columns["columns"]) if columns else []


def _constraints(table: str) -> Iterator[tuple[type[Model], UniqueConstraint]]:
    for model in apps.get_models():
        if model._meta.db_table == table:
            unique = (c for c in model._meta.constraints if isinstance(c, UniqueConstraint))
            yield from ((model, constraint) for constraint in unique)


def _names(constraint: UniqueConstraint) -> Iterator[str]:
    for expression in constraint.expressions:
        parts: Iterable[Any] = getattr(expression, "flatten", list)()
        yield from (part.name.split(LOOKUP_SEP)[0] for part in parts if isinstance(part, F))
