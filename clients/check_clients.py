"""Generate a Python and a TypeScript client from the schema, compile both, and make calls.

Both are made in `var/clients`, by openapi-python-client and by openapi-typescript.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from clients.server import PASSWORD, USERNAMES, run_server
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


def generate_python(schema: Path, folder: Path) -> None:
    """Generate the package `bureau_client`, and check its types."""
    config = folder / "config.yaml"
    config.write_text(PYTHON_CONFIG)
    options = ["--config", config, "--output-path", folder / "package", "--fail-on-warning"]
    run("openapi-python-client", "generate", "--path", schema, *options, folder=folder)
    package = folder / "package"
    run("mypy", "--strict", "--config-file", os.devnull, "bureau_client", folder=package)
    modules = sorted(package.rglob("*.py"))
    names = [".".join(file.relative_to(package).with_suffix("").parts) for file in modules]
    program = "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1:]]"
    run(sys.executable, "-c", program, *names, folder=package)


def generate_typescript(schema: Path, folder: Path) -> None:
    """Generate the types, and compile them with the calls."""
    for name in ("package.json", "package-lock.json", "tsconfig.json", "calls.ts"):
        shutil.copy(SOURCES / "typescript" / name, folder)
    run("npm", "ci", "--no-audit", "--no-fund", "--silent", folder=folder)
    run("npx", "openapi-typescript", schema, "--output", "schema.ts", folder=folder)
    run("npx", "tsc", folder=folder)


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    python, typescript = FOLDER / "python", FOLDER / "typescript"
    for folder in (python, typescript):
        folder.mkdir(parents=True)
    schema = FOLDER / "openapi.json"
    write_schema(schema)
    generate_python(schema, python)
    generate_typescript(schema, typescript)
    accounts = {
        "CHECK_PASSWORD": PASSWORD,
        "CHECK_AGENT": USERNAMES["agent"],
        "CHECK_ADMIN": USERNAMES["admin"],
    }
    with run_server(FOLDER / "server", port=PORT) as server:
        calls = [sys.executable, SOURCES / "python_calls.py", server.url]
        run(*calls, folder=python / "package", PYTHONPATH=str(python / "package"), **accounts)
        run("node", "out/calls.js", server.url, folder=typescript, **accounts)
    print("Both clients compile, and their calls succeed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
