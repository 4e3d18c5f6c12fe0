"""Processes that copy small files beside this one.

A small file costs more time in the interpreter and in the kernel's locks than on the disk, and the
threads of one process take turns there. A process of its own needs 30 ms and 15 MB.
"""

import json
import subprocess
from contextlib import suppress

from common import subprocesses
from uploads.transfer.copying import Fate, How, Outcome
from uploads.transfer.folders import Folder
from uploads.transfer.object_folder import ObjectFolder


class HelperDied(Exception):
    """What it was copying may be done or not."""


class Helper:
    """A process that copies files, asked by one thread; it dies with this process, or by `kill`.

    spent: the seconds of a processor that it has had so far, as it said last.
    """

    def __init__(self, source: Folder, target: ObjectFolder, how: How) -> None:
        folders = [source.fd, target.folder.fd, target.aside.fd]
        orders = {
            "folders": folders,
            "durable": target.durable,
            "by": str(how.by),
            "by_checksum": how.by_checksum,
            "is_new": how.is_new,
        }
        self.spent = 0.0
        self._process = subprocesses.start(
            "uploads.transfer.copy_worker_main",
            orders,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=folders,
        )

    @property
    def is_starting(self) -> bool:
        """Whether it lives and has not said anything yet."""
        return not self.spent and self._process.poll() is None

    def copy(self, files: list[tuple[str, str]]) -> list[Outcome | None]:
        """What became of each (path, key); None where it does not know. Raises `HelperDied`."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        try:
            asked.write(json.dumps(files).encode() + b"\n")
            asked.flush()
        except OSError as error:
            raise HelperDied from error
        line = answers.readline()
        if not line.endswith(b"\n"):
            raise HelperDied
        self.spent, told = json.loads(line)
        return [values and Outcome(Fate(values[0]), *values[1:]) for values in told]

    def kill(self) -> None:
        """Whoever waits in `copy` hears that it died."""
        self._process.kill()

    def close(self) -> None:
        """Kill it, when nobody waits."""
        self.kill()
        with suppress(OSError), self._process:
            pass
