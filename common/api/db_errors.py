"""Translate the database's integrity errors into API errors."""

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
    """Return the API error for a violated constraint, or `None` if its cause is a bug.

    Serializers check before they write, but two simultaneous requests can both pass the check.
    """
    match error.__cause__:
        case errors.UniqueViolation() as violation:
            detail = [ErrorDetail("A row with this value already exists.", code="unique")]
            fields = _violated_fields(violation.diag) or ["non_field_errors"]
            return ValidationError(dict.fromkeys(fields, detail))
        case errors.ForeignKeyViolation():
            return Conflict(
                "A row that this one refers to was deleted, or other rows still refer to this one."
            )
    return None


def _violated_fields(diagnostic: errors.Diagnostic) -> list[str]:
    for model, constraint in _unique_constraints(diagnostic.table_name or ""):
        if constraint.name == diagnostic.constraint_name:
            names = [*constraint.fields, *_expression_fields(constraint)]
            # A relation, such as the company, only scopes the value: it is not the wrong field.
            return [n for n in names if not model._meta.get_field(n).is_relation] or names
    columns = re.match(r"Key \((?P<columns>[^)]*)\)", diagnostic.message_detail or "")
    return re.findall(r"\w+", columns["columns"]) if columns else []


def _unique_constraints(table: str) -> Iterator[tuple[type[Model], UniqueConstraint]]:
    for model in apps.get_models():
        if model._meta.db_table == table:
            unique = (c for c in model._meta.constraints if isinstance(c, UniqueConstraint))
            yield from ((model, constraint) for constraint in unique)


def _expression_fields(constraint: UniqueConstraint) -> Iterator[str]:
    for expression in constraint.expressions:
        parts: Iterable[Any] = getattr(expression, "flatten", list)()
        yield from (part.name.split(LOOKUP_SEP)[0] for part in parts if isinstance(part, F))
