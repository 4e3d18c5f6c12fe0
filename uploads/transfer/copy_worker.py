"""Processes that copy small files, each used by one thread of the `CopyPool`.

Copying a small file takes more time in the interpreter and in kernel locks than on the disk, and
the threads of one process wait for each other there. A process takes 30 ms to start and 15 MB.
"""

import json
import subprocess
from contextlib import suppress

from common import subprocesses
from uploads.transfer.directories import Directory
from uploads.transfer.file_copier import CopyOptions, CopyResult, CopyStatus
from uploads.transfer.object_folder import ObjectFolder


class CopyWorkerDied(Exception):
    """The process died; it may have copied some files of its batch."""


class CopyWorker:
    """A process that copies files; used by one thread, and ends with this process.

    cpu_seconds: the processor time that it had used when it last replied.
    """

    def __init__(self, source: Directory, target: ObjectFolder, options: CopyOptions) -> None:
        directories = [source.fd, target.directory.fd, target.staging.fd]
        arguments = {
            "directories": directories,
            "durable": target.durable,
            "owner_id": str(options.owner_id),
            "compare_checksums": options.compare_checksums,
            "target_is_empty": options.target_is_empty,
        }
        self.cpu_seconds = 0.0
        self._process = subprocesses.start(
            "uploads.transfer.copy_worker_main",
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=directories,
        )

    @property
    def is_starting(self) -> bool:
        """Whether the process is alive and has not replied yet."""
        return not self.cpu_seconds and self._process.poll() is None

    def copy(self, files: list[tuple[str, str]]) -> list[CopyResult | None]:
        """Return the result for each (path, key), None if the process failed to copy it.

        Raises `CopyWorkerDied`.
        """
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None
        assert replies is not None
        try:
            requests.write(json.dumps(files).encode() + b"\n")
            requests.flush()
        except OSError as error:
            raise CopyWorkerDied from error
        line = replies.readline()
        if not line.endswith(b"\n"):
            raise CopyWorkerDied
        self.cpu_seconds, results = json.loads(line)
        return [values and CopyResult(CopyStatus(values[0]), *values[1:]) for values in results]

    def kill(self) -> None:
        """Kill the process; a thread that waits in `copy` gets `CopyWorkerDied`."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process and close its pipes; no thread may be in `copy`."""
        self.kill()
        with suppress(OSError), self._process:
            pass
