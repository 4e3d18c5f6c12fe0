"""The manifest of a backup, stored as `manifest.json`."""

from dataclasses import dataclass
from typing import Any

MANIFEST_NAME = "manifest.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A table in the backup; `columns` are in the order of the values in each row."""

    columns: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup contains.

    `schema` maps table to column to type, `sequences` a name to its last value, and `files` the
    name of an archive member to its SHA-256.
    """

    format: int
    version: str
    created_at: str
    migrations: list[str]
    schema: dict[str, dict[str, str]]
    sequences: dict[str, int]
    tables: dict[str, TableEntry]
    files: dict[str, str]

    @property
    def row_count(self) -> int:
        return sum(table.rows for table in self.tables.values())

    @property
    def member_digests(self) -> dict[str, str]:
        """The SHA-256 of each archive member, except the manifest itself."""
        return {f"tables/{name}": t.sha256 for name, t in self.tables.items()} | self.files

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Manifest":
        """Convert parsed JSON of the current format; raise `ValueError` if it is incomplete."""
        try:
            tables = {name: TableEntry(**entry) for name, entry in data["tables"].items()}
            return cls(**data | {"tables": tables})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the manifest is invalid: {error}") from error
