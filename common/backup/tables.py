"""What of the database goes into a backup."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

# Says to which schema the rows belong, and is compared instead of restored.
MIGRATIONS = "django_migrations"
# What `migrate` fills by itself, so that a database with these rows alone is empty.
FILLED = ("django_content_type", "auth_permission", "catalog_vocabularystate")


@dataclass(frozen=True)
class Table:
    """A table and its columns that hold data: generated ones are made of the others."""

    name: str
    columns: tuple[str, ...]

    @property
    def source(self) -> str:
        quote = connection.ops.quote_name
        return f"{quote(self.name)} ({', '.join(map(quote, self.columns))})"


def tables() -> list[Table]:
    """Every table of the schema but that of the migrations, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position)
            FROM information_schema.columns c
            JOIN information_schema.tables t USING (table_schema, table_name)
            WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
              AND c.is_generated = 'NEVER' AND c.table_name <> %s
            GROUP BY c.table_name ORDER BY c.table_name
            """,
            [MIGRATIONS],
        )
        return [Table(name, tuple(columns)) for name, columns in cursor.fetchall()]


def migrations() -> list[str]:
    """The applied migrations, as `app.0001_name`, in order."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def sequences() -> dict[str, int]:
    """The last number that each sequence has given; those that have given none are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
        )
        return dict(cursor.fetchall())


def with_rows() -> Iterator[str]:
    """The tables in which there is anything that `migrate` has not put there."""
    with connection.cursor() as cursor:
        for table in tables():
            if table.name not in FILLED:
                cursor.execute(f"TABLE {connection.ops.quote_name(table.name)} LIMIT 1")
                if cursor.fetchone():
                    yield table.name
