"""Read the tables, columns, migrations and sequences of the database."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from django.apps import apps
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from common.models import AppliedMigration, PendingRestore

# Two tables describe the schema of the rows, which a restore compares; the last is about a restore.
EXCLUDED_TABLES = (
    "django_migrations",
    AppliedMigration._meta.db_table,
    PendingRestore._meta.db_table,
)
# `migrate` fills these tables, so a database with rows only in them counts as empty. An app lists
# its own such tables in `tables_filled_by_migrate` on its `AppConfig`.
DJANGO_TABLES_FILLED_BY_MIGRATE = ("django_content_type", "auth_permission")

Schema = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    is_nullable: bool
    is_generated: bool

    @property
    def description(self) -> str:
        """For example `character varying(20) not null`."""
        suffixes = [" not null"] * (not self.is_nullable) + [" generated"] * self.is_generated
        return self.type + "".join(suffixes)


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]

    @property
    def data_columns(self) -> list[str]:
        """The names of the columns that hold data: generated columns are computed from them."""
        return [column.name for column in self.columns if not column.is_generated]


def read_tables() -> list[Table]:
    """Return the tables of the current schema by name, except `EXCLUDED_TABLES`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
                a.attgenerated <> ''
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
                AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> ALL (%s)
            ORDER BY c.relname, a.attnum
            """,
            [list(EXCLUDED_TABLES)],
        )
        rows = cursor.fetchall()
    return [
        Table(name, tuple(Column(*row[1:]) for row in columns))
        for name, columns in groupby(rows, key=itemgetter(0))
    ]


def describe_schema(tables: Iterable[Table]) -> Schema:
    """Return the description of each column by table and column name."""
    return {t.name: {column.name: column.description for column in t.columns} for t in tables}


def find_schema_difference(backup: Schema, database: Schema) -> str:
    """Return a clause that names the first difference, or an empty string if there is none."""
    for table in sorted(backup.keys() | database.keys()):
        if table not in database:
            return f"only the backup has the table {table}"
        if table not in backup:
            return f"only the database has the table {table}"
        if difference := _find_column_difference(table, backup[table], database[table]):
            return difference
    return ""


def _find_column_difference(table: str, backup: dict[str, str], database: dict[str, str]) -> str:
    for column in sorted(backup.keys() | database.keys()):
        if column not in database:
            return f"only the backup has the column {table}.{column}"
        if column not in backup:
            return f"only the database has the column {table}.{column}"
        if backup[column] != database[column]:
            return (
                f"the column {table}.{column} is {backup[column]} in the backup and"
                f" {database[column]} in the database"
            )
    return ""


def copy_target(table: str, columns: Iterable[str]) -> str:
    """Return the quoted table and columns of a COPY statement."""
    quote = connection.ops.quote_name
    return f"{quote(table)} ({', '.join(map(quote, columns))})"


def read_migrations() -> list[str]:
    """Return the applied migrations as `app.0001_name`, sorted."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def read_sequences() -> dict[str, int]:
    """Return the last value of each sequence that has been used."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
        )
        return dict(cursor.fetchall())


def tables_with_rows() -> Iterator[str]:
    """Yield the tables that have rows, except those that `migrate` fills."""
    tables_of_apps = (getattr(a, "tables_filled_by_migrate", ()) for a in apps.get_app_configs())
    filled_by_migrate = {*DJANGO_TABLES_FILLED_BY_MIGRATE}.union(*tables_of_apps)
    with connection.cursor() as cursor:
        for table in read_tables():
            if table.name not in filled_by_migrate:
                cursor.execute(f"TABLE {connection.ops.quote_name(table.name)} LIMIT 1")
                if cursor.fetchone():
                    yield table.name
