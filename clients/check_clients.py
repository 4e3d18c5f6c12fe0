"""Generate a Python and a TypeScript client from the schema, compile both, and make all calls.

Both are made in `var/clients`, by openapi-python-client and by openapi-typescript, and for each
a program that makes the calls of `clients/calls.py`. Types are checked strictly, and every answer
is one that the schema describes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from clients.calls import CALLS
from clients.operations import Schema
from clients.python_source import build_python
from clients.server import PASSWORD, USERNAMES, run_server
from clients.typescript_source import build_typescript
from config.environment import BASE_DIR

PORT = 8963
FOLDER = BASE_DIR / "var" / "clients"
SOURCES = Path(__file__).parent
PYTHON_CONFIG = """\
project_name_override: bureau-client
package_name_override: bureau_client
"""
BIN = Path(sys.executable).parent


def run(*command: str | Path, folder: Path, **variables: str) -> None:
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | variables
    subprocess.run([str(part) for part in command], cwd=folder, env=env, check=True)


def write_schema(file: Path) -> None:
    """Write the schema; fail on a warning."""
    options = ["--validate", "--fail-on-warn", "--format", "openapi-json"]
    command = [sys.executable, "manage.py", "spectacular", *options, "--file", file]
    run(*command, folder=BASE_DIR)


def generate_python(file: Path, folder: Path, calls: str) -> None:
    """Generate the package `bureau_client`, and check its types and those of the calls."""
    config = folder / "config.yaml"
    config.write_text(PYTHON_CONFIG)
    options = ["--config", config, "--output-path", folder / "package", "--fail-on-warning"]
    run("openapi-python-client", "generate", "--path", file, *options, folder=folder)
    package = folder / "package"
    shutil.copy(SOURCES / "python" / "support.py", package)
    (package / "calls.py").write_text(calls)
    mypy = ["mypy", "--strict", "--config-file", os.devnull]
    run(*mypy, "bureau_client", "support.py", "calls.py", folder=package)


def generate_typescript(file: Path, folder: Path, calls: str) -> None:
    """Generate the types, and compile them with the calls."""
    for name in ("package.json", "package-lock.json", "tsconfig.json", "support.ts"):
        shutil.copy(SOURCES / "typescript" / name, folder)
    (folder / "calls.ts").write_text(calls)
    run("npm", "ci", "--no-audit", "--no-fund", "--silent", folder=folder)
    run("npx", "openapi-typescript", file, "--output", "schema.ts", folder=folder)
    run("npx", "tsc", folder=folder)


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    python, typescript = FOLDER / "python", FOLDER / "typescript"
    for folder in (python, typescript):
        folder.mkdir(parents=True)
    file = FOLDER / "openapi.json"
    write_schema(file)
    schema = Schema(file)
    schema.check_calls(CALLS)
    calls = list(schema.add_parameters(CALLS))
    generate_python(file, python, build_python(schema, calls))
    generate_typescript(file, typescript, build_typescript(schema, calls))
    variables = {f"CHECK_{role.upper()}": name for role, name in USERNAMES.items()}
    variables |= {"CHECK_PASSWORD": PASSWORD, "CHECK_SCHEMA": str(file)}
    with run_server(FOLDER / "server", port=PORT) as server:
        variables["CHECK_URL"] = server.url
        run(sys.executable, "calls.py", folder=python / "package", **variables)
        run("node", "out/calls.js", folder=typescript, **variables)
    print(f"Both clients compile, and make {len(calls)} calls: all operations.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
