"""Record the events of very many rows, without reading them."""

from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, models
from psycopg.types.json import Jsonb

from common.events.kinds import Audience, check_action, kind_of
from common.events.models import Event
from common.events.recording import MAX_VALUE_CHARS, actor_columns

# A UUIDv7: 48 bits of milliseconds, the version and random bits.
NEW_ID = """
    encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING substring(
        int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
    52, 1), 53, 1), 'hex')::uuid
"""


def record_query(
    action: str,
    *,
    by: AbstractBaseUser | None,
    model: type[models.Model],
    company_id: UUID,
    query: str,
    parameters: dict[str, Any],
) -> int:
    """Write an event for each row of `query`, by one statement; return how many.

    query: a SELECT of the id, the label and the changes (JSON) of rows of one company. The rows
    are those that everyone in the company may see.
    """
    kind = kind_of(model)
    check_action(action, kind.event_types)
    if kind.audience != Audience.COMPANY or kind.person:
        raise ValueError(f"Rows of {model._meta.label} are not for everyone in a company.")
    columns = {
        **actor_columns(action, by=by),
        "company_id": company_id,
        "audience": kind.audience,
        "target_type": kind.name,
        "target_digest": "",
    }
    columns["actor_values"] = Jsonb(columns["actor_values"])
    statement = f"""
        INSERT INTO {Event._meta.db_table}
            ({", ".join(columns)}, id, target_id, target_label, changes)
        SELECT {", ".join(f"%(event_{name})s" for name in columns)}, {NEW_ID},
            row.id, left(row.label, {MAX_VALUE_CHARS}), row.changes
        FROM ({query}) AS row (id, label, changes)
    """  # noqa: S608
    constants = {f"event_{name}": value for name, value in columns.items()}
    with connection.cursor() as cursor:
        cursor.execute(statement, {**parameters, **constants})
        return cursor.rowcount


def changes_as_sql(model: type[models.Model], columns: dict[str, tuple[str, str]]) -> str:
    """Return the expression of the changes of a row, in the form of `Event.changes`.

    columns: the expressions of the old and the new value by field.
    """
    rows = ", ".join(
        f"('{name}', {old} IS DISTINCT FROM {new}, {_show(field, old)}, {_show(field, new)})"
        for name, (old, new) in columns.items()
        for field in [model._meta.get_field(name)]
    )
    return f"""(
        SELECT jsonb_object_agg(name, jsonb_build_object('old', old, 'new', new))
        FROM (VALUES {rows}) AS change (name, is_changed, old, new) WHERE is_changed
    )"""  # noqa: S608


def _show(field: Any, value: str) -> str:
    """Return a value as `record` shows it: numbers, and texts of which long ones are cut."""
    if isinstance(field, models.IntegerField):
        return f"to_jsonb({value})"
    text, kept = f"({value})::text", MAX_VALUE_CHARS - 1
    cut = f"left({text}, {kept}) || '…'"
    return f"to_jsonb(CASE WHEN length({text}) > {kept} THEN {cut} ELSE {text} END)"
