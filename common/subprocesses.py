"""Processes beside a worker, each a fresh interpreter that does one thing.

Not forks: a worker has threads, connections and locks, and a copy of it has them in any state.
They have neither Bureau's secrets in their environment nor, unless they import it, Django.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


def start(module: str, orders: dict[str, Any], **options: Any) -> subprocess.Popen[bytes]:
    """Run `python -m module`, with its orders as JSON in its first argument.

    They name the `parent` besides. A terminal's Ctrl-C, which is sent to a whole group of
    processes, is the parent's to act on.
    """
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own modules
        [sys.executable, "-m", module, json.dumps({"parent": os.getpid(), **orders})],
        cwd=ROOT,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        start_new_session=True,
        **options,
    )
