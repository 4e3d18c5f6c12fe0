"""The process that copies files for `helper.py`, which starts it.

It reads lines of JSON, each a list of files to copy, and writes one for each: what became of them.
The folders are those that its parent has opened; and when that is gone, it ends at once, lest it
still write when another worker has taken the session over.
"""

import json
import os
import sys
import time
from typing import Any
from uuid import UUID

from uploads.transfer.copying import Copying, How, Outcome
from uploads.transfer.folders import Folder
from uploads.transfer.object_folder import ObjectFolder


def main(orders: dict[str, Any]) -> None:
    parent = orders["parent"]

    def check() -> None:
        if os.getppid() != parent:
            os._exit(1)

    source, *target = map(Folder, orders["folders"])
    how = How(UUID(orders["by"]), orders["by_checksum"], orders["is_new"])
    copying = Copying(source, ObjectFolder(*target, durable=orders["durable"]), how, check)
    for line in sys.stdin.buffer:
        outcomes = [_outcome(copying, path, key) for path, key in json.loads(line)]
        sys.stdout.write(json.dumps([time.process_time(), outcomes]) + "\n")
        sys.stdout.flush()


def _outcome(copying: Copying, path: str, key: str) -> Outcome | None:
    try:
        return copying.copy(path, key)
    except Exception:
        # The parent tries it itself, and tells why that fails.
        return None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
