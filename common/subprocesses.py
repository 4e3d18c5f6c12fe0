"""Start a module of Bureau in a new Python interpreter.

A fork would copy the worker's threads, connections and locks in an arbitrary state. The environment
of the new process contains no secrets, and Django is loaded only if the module imports it.
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

    The argument also has the id of this process as `parent`. `options` are those of `Popen`. The
    child has its own session, so that Ctrl-C in a terminal reaches only the parent.
    """
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own modules
        [sys.executable, "-m", module, json.dumps({"parent": os.getpid(), **arguments})],
        cwd=ROOT,
        env={name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ},
        start_new_session=True,
        **options,
    )
