"""`make clients` calls every operation of the schema."""

import json
from pathlib import Path

from clients.calls import CALLS
from clients.operations import Schema
from common.api.schema import CachedSchemaGenerator


def test_every_operation_has_a_call(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(CachedSchemaGenerator().get_schema(), default=str))
    Schema(file).check_calls(CALLS)
