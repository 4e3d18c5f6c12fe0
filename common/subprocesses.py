"""Start a module of Bureau as a fresh interpreter beside a worker.

A fork would copy the worker's threads, connections and locks in an arbitrary state. These
processes have neither Bureau's secrets in their environment nor, unless they import it, Django.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INHERITED_VARIABLES = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


def start(module: str, arguments: dict[str, Any], **options: Any) -> subprocess.Popen[bytes]:
    """Run `python -m module` with `arguments` as JSON in its only argument.

    The id of this process is added to them as `parent`. `options` go to `Popen`. The child gets a
    session of its own, so that Ctrl-C in a terminal reaches only the parent, which decides.
    """
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own modules
        [sys.executable, "-m", module, json.dumps({"parent": os.getpid(), **arguments})],
        cwd=ROOT,
        env={name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ},
        start_new_session=True,
        **options,
    )
