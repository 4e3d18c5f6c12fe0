"""Limits that a child process sets for itself before it parses a file from a stranger."""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

MAX_OPEN_FILES = 32
PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>


def limit_lifetime(parent_pid: int, timeout_s: int) -> None:
    """End by SIGALRM after `timeout_s` seconds and, on Linux, with the parent."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the call above
        os._exit(1)


def limit_resources(*, memory_bytes: int, cpu_s: int, output_bytes: int) -> None:
    """Set limits that this process cannot raise. macOS ignores the memory limit."""
    for resource_type, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource_type, (limit, limit))
