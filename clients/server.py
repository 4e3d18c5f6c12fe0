"""A web server with its own database and demo accounts, for the checks of the schema."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.deploy_check import PRODUCTION
from config.environment import BASE_DIR
from config.local import LocalServices
from config.local.run import read_procfile

PASSWORD = PRODUCTION["FIRST_SUPERUSER_PASSWORD"]
# Those of `manage.py seed_demo`, and the first superuser.
USERNAMES = {
    "agent": "ann@demo.example.com",
    "worker": "machine@demo.example.com",
    "admin": "olivia@demo.example.com",
    "superuser": "admin@example.com",
}

RATE_LIMITS = (
    "API_RATE_LIMIT",
    "AUTH_RATE_LIMIT",
    "INVITATION_RATE_LIMIT",
    "RATE_LIMIT_PER_MINUTE",
    "RATE_LIMIT_PER_HOUR",
)


@dataclass(frozen=True)
class Server:
    """A running server; its accounts have the password `PASSWORD`."""

    url: str

    @property
    def schema_url(self) -> str:
        return f"{self.url}/api/v1/openapi.json"

    def sign_in(self, role: str) -> str:
        """Return an access token of the account with this role."""
        body = json.dumps({"username": USERNAMES[role], "password": PASSWORD}).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1/auth/login", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            token: str = json.load(response)["access_token"]
            return token


@contextmanager
def run_server(folder: Path, *, port: int) -> Iterator[Server]:
    """Run the Procfile's web process without rate limits; all its data are below `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with LocalServices(folder) as services:
        env = build_environment(folder, services, port)
        for command in (["migrate"], ["seed_admin"], ["seed_demo", "--password", PASSWORD]):
            arguments = [sys.executable, "manage.py", *command, "--verbosity", "0"]
            subprocess.run(arguments, cwd=BASE_DIR, env=env, check=True, stdout=subprocess.DEVNULL)
        command = ["sh", "-c", f"exec {read_procfile()['web']}"]
        with (folder / "web.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=BASE_DIR, env=env, stdout=log, stderr=log)
        try:
            yield Server(wait_until_alive(f"http://127.0.0.1:{port}"))
        finally:
            process.terminate()
            process.wait()


def build_environment(folder: Path, services: LocalServices, port: int) -> dict[str, str]:
    """Return the environment of the server: without rate limits, everyone may sign up."""
    return {
        **os.environ,
        **PRODUCTION,
        **dict.fromkeys(RATE_LIMITS, "off"),
        "SIGNUP": "company",
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(folder),
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "ALLOWED_HOSTS": "127.0.0.1",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
    }


def wait_until_alive(url: str) -> str:
    """Return the URL as soon as the server answers."""
    for _ in range(150):
        with suppress(OSError), urllib.request.urlopen(f"{url}/health"):
            return url
        time.sleep(0.2)
    raise TimeoutError("The web server does not start.")
