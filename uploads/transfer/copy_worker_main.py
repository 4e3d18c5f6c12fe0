"""The main module of the process that `copy_worker.CopyWorker` starts.

Each line of its input is a JSON list of files to copy; it answers each with a line of results. It
uses the directories that its parent has opened. It exits soon after its parent died, so that it
does not write while another run copies the files of the session.
"""

import json
import os
import sys
import time
from typing import Any
from uuid import UUID

from uploads.transfer.directories import Directory
from uploads.transfer.file_copier import CopyOptions, CopyResult, FileCopier
from uploads.transfer.object_folder import ObjectFolder


def main(arguments: dict[str, Any]) -> None:
    parent_pid = arguments["parent"]

    def exit_without_parent() -> None:
        if os.getppid() != parent_pid:
            os._exit(1)

    source, directory, staging = map(Directory, arguments["directories"])
    target = ObjectFolder(directory, staging, durable=arguments["durable"])
    options = CopyOptions(
        owner_id=UUID(arguments["owner_id"]),
        compare_checksums=arguments["compare_checksums"],
        target_is_empty=arguments["target_is_empty"],
    )
    copier = FileCopier(source, target, options, exit_without_parent)
    for line in sys.stdin.buffer:
        results = [_copy(copier, path, key) for path, key in json.loads(line)]
        sys.stdout.write(json.dumps([time.process_time(), results]) + "\n")
        sys.stdout.flush()


def _copy(copier: FileCopier, path: str, key: str) -> CopyResult | None:
    try:
        return copier.copy(path, key)
    except Exception:
        # The parent then copies the file itself, and logs the error.
        return None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
