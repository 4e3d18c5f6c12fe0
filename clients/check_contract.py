"""Test a running server against its OpenAPI schema with schemathesis: all checks, in all roles.

`--short` is for CI: less time for each role.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from clients.server import PASSWORD, USERNAMES, Server, run_server
from config.environment import BASE_DIR

PORT = 8962
FOLDER = BASE_DIR / "var" / "contract"
ST = Path(sys.executable).with_name("st")
CONFIG = Path(__file__).with_name("schemathesis.toml")
# `schemathesis_hooks` has checks in their place.
REPLACED_CHECKS = "positive_data_acceptance,response_schema_conformance"
LONG = ["--max-examples", "30"]
SHORT = ["--phases", "examples,fuzzing", "--max-examples", "1"]
# The same requests in each run, as far as they do not depend on responses; and a slow machine is
# no failure.
REPRODUCIBLE = [
    *("--seed", "1", "--generation-deterministic"),
    *("--suppress-health-check", "too_slow"),
]


def check(server: Server, role: str, options: list[str]) -> int:
    """Return the exit code of schemathesis for one role; 0 means no failure."""
    print(f"== {role}", flush=True)
    env = os.environ | {
        "SERVER_URL": server.url,
        "CHECK_USERNAME": USERNAMES.get(role, ""),
        "CHECK_PASSWORD": PASSWORD,
        "SCHEMATHESIS_HOOKS": "clients.schemathesis_hooks",
        "PYTHONPATH": str(BASE_DIR),
    }
    command = [
        str(ST),
        "--config-file",
        str(CONFIG),
        "run",
        server.schema_url,
        "--exclude-checks",
        REPLACED_CHECKS,
    ]
    arguments = [
        *command,
        "--continue-on-failure",
        "--no-color",
        "--warnings",
        "off",
        *REPRODUCIBLE,
        *options,
    ]
    # Its cache of findings lies in the current folder.
    return subprocess.call(arguments, cwd=FOLDER, env=env)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="Less time for each role.")
    options = SHORT if parser.parse_args().short else LONG
    with run_server(FOLDER, port=PORT) as server:
        # Each role can change only the accounts of those before it.
        failed = [role for role in ("anonymous", *USERNAMES) if check(server, role, options)]
    print(f"Failures as: {', '.join(failed)}" if failed else "No failures.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
