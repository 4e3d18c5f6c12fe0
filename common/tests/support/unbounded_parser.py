"""A replacement for `parser_process` that answers with too much text."""

import json
import sys
from typing import Any

from common.documents import parser_process


def build_large_answer(*_: Any) -> dict[str, str]:
    return {"text": "a" * 20_000_000, "omitted": ""}


if __name__ == "__main__":
    parser_process.build_answer = build_large_answer
    parser_process.main(json.loads(sys.argv[1]))
