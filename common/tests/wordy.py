"""A reader of documents, as `common.documents.child`, that does not count what it puts down."""

import json
import sys
from typing import Any

from common.documents import child


def answer_to(*_: Any) -> dict[str, str]:
    return {"text": "a" * 20_000_000, "omitted": ""}


if __name__ == "__main__":
    child.answer_to = answer_to
    child.main(json.loads(sys.argv[1]))
