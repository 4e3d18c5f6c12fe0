"""`make smoke-test`: run the commands of compose.prod.yaml without containers.

It uses production's settings, the image's packages (requirements/flower.txt), and servers of its
own below var/smoke-test/. A note is summarised by the processes that it starts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import redis
from compose_file import ComposeFile

from config.local.services import LocalServices

REPOSITORY = Path(__file__).resolve().parents[1]
ROOT = REPOSITORY / "var" / "smoke-test"
HOST = "bureau.example.com"
TIMEOUT_S = 40.0


def main() -> int:
    ROOT.mkdir(parents=True, exist_ok=True)
    packages = _create_venv()
    secrets = _create_secrets()
    with LocalServices(ROOT) as servers:
        smoke_test = SmokeTest(servers, packages, secrets)
        with smoke_test.running():
            smoke_test.check()
    print("All processes work, and stop on SIGTERM.")
    return 0


def _create_venv() -> Path:
    """Create a virtual environment with the packages of the image."""
    venv = ROOT / "venv"
    pip = [str(venv / "bin" / "pip"), "install", "-qq", "--require-hashes", "--requirement"]
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([*pip, str(REPOSITORY / "requirements" / "flower.txt")], check=True)
    return venv / "bin"


def _create_secrets() -> Path:
    folder = ROOT / "docker"
    folder.mkdir(exist_ok=True)
    script = folder / "secrets.sh"
    script.write_text((REPOSITORY / "docker" / "secrets.sh").read_text())
    script.chmod(0o755)
    subprocess.run([str(script)], check=True)
    return folder / "secrets"


class SmokeTest:
    """Runs the services of compose.prod.yaml that use Bureau's images."""

    def __init__(self, servers: LocalServices, packages: Path, secrets: Path) -> None:
        self._compose = ComposeFile("compose.prod.yaml", {"DOMAIN": HOST})
        self._servers, self._packages, self._secrets = servers, packages, secrets
        self._ports = {
            name: _free_port() for name in ("PORT", "LIVE_PORT", "GRPC_PORT", "FLOWER_PORT")
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stop all services at the end; each must exit with 0 on SIGTERM."""
        try:
            yield
            for name, process in self._running.items():
                process.send_signal(signal.SIGTERM)
                code = process.wait(15)
                _report(f"{name} ended with {code}", ok=code == 0)
        finally:
            # A killed process would leave its children behind.
            for process in self._running.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def check(self) -> None:
        _report("migrate", ok=self.start("migrate").wait() == 0)
        del self._running["migrate"]
        self.start("web")
        self._wait_until("web answers /health", lambda: self._is_healthy("web"))
        _report("/ready names the missing worker", ok=self._get("/ready")[0] == 503)
        self._check_recovery_of_a_lost_job()
        _report("/ready is 200 now", ok=self._get("/ready")[0] == 200)
        _report("the admin's files are served", ok=self._serves_static())
        for service in ("mail", "uploads"):
            self.start(service)
            self._wait_until(f"{service} answers", lambda name=service: self._is_healthy(name))
        self._check_password_mail()
        self.start("live")
        self._wait_until("live answers /health", lambda: self._is_healthy("live"))
        _report("/ready?all=1 is 200", ok=self._get("/ready?all=1")[0] == 200)
        self.start("grpc")
        self._wait_until("grpc answers health", lambda: self._is_healthy("grpc"))
        self.start("flower")
        self._wait_until("flower answers", lambda: self._is_healthy("flower"))
        _report("flower requires a password", ok=self._get_flower_status("wrong:wrong") == 401)
        credentials = (self._secrets / "flower_basic_auth").read_text().strip()
        _report("flower accepts the right one", ok=self._get_flower_status(credentials) == 200)

    def start(self, service: str) -> subprocess.Popen[bytes]:
        command = ["docker/entrypoint.sh", *self._compose.services[service]["command"]]
        log = (ROOT / f"{service}.log").open("wb")
        self._running[service] = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self._environment(service),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        return self._running[service]

    def _environment(self, service: str) -> dict[str, str]:
        """Return the container's environment, with local servers and free ports."""
        environment = {
            name: value.replace("/run/secrets", str(self._secrets))
            for name, value in self._compose.environment(service).items()
            if not name.startswith(("POSTGRES_", "REDIS_"))
        }
        return {
            **environment,
            **{name: str(port) for name, port in self._ports.items()},
            "PATH": f"{self._packages}:/usr/bin:/bin",
            "ENV_FILE": os.devnull,
            "HOST": "127.0.0.1",
            "VAR_DIR": str(ROOT / "data"),
            "STATIC_ROOT": str(self._collect_static()),
            "DATABASE_URL": self._servers.database_url,
            "REDIS_URL": self._servers.redis_url,
        }

    def _collect_static(self) -> Path:
        """Collect the static files as the Dockerfile does."""
        folder = ROOT / "static"
        if not folder.exists():
            build = {
                "PATH": f"{self._packages}:/usr/bin:/bin",
                "DEBUG": "true",
                "SECRET_KEY": "unused",
                "DATABASE_URL": "postgresql://unused/unused",
                "REDIS_URL": "redis://unused",
                "STATIC_ROOT": str(folder),
            }
            command = ["python", "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
            subprocess.run(command, cwd=REPOSITORY, env=build, check=True)
        return folder

    def _check_recovery_of_a_lost_job(self) -> None:
        """Delete the message of a note's job, so that only beat can publish it again."""
        token = self._login()
        text = {"raw_text": "The pump failed on Monday. It was replaced on Tuesday."}
        status, note = self._get("/api/v1/notes", text, token=token)
        _report("a note is accepted", ok=status == 201)
        redis.Redis(unix_socket_path=str(self._servers.redis_socket)).flushall()
        self.start("worker")
        self._wait_until("worker answers", lambda: self._is_healthy("worker"))
        time.sleep(2)
        self.start("beat")
        path = f"/api/v1/notes/{note['id']}"
        what = "beat finds the lost job and the worker runs it"
        self._wait_until(what, lambda: self._get(path, token=token)[1]["status"] == "completed")

    def _check_password_mail(self) -> None:
        """Request a password mail, which the mail process writes to a file."""
        folder = ROOT / "data" / "mail"
        earlier = set(folder.glob("*.log"))
        status, _ = self._get("/api/v1/auth/password/reset", {"email": "admin@example.com"})
        _report("a password mail is requested", ok=status < 300)
        self._wait_until("mail sends it", lambda: set(folder.glob("*.log")) > earlier)

    def _login(self) -> str:
        password = (self._secrets / "first_superuser_password").read_text().strip()
        form = {"email": "admin@example.com", "password": password}
        status, answer = self._get("/api/v1/auth/login", form)
        _report("the first superuser signs in", ok=status == 200)
        return str(answer["access_token"])

    def _serves_static(self) -> bool:
        manifest = json.loads((self._collect_static() / "staticfiles.json").read_text())
        name = manifest["paths"]["unfold/css/styles.css"]
        return self._get(f"/static/{name}")[0] == 200

    def _is_healthy(self, service: str) -> bool:
        """Run the container's health check."""
        command = [str(self._packages / "python"), "docker/healthcheck.py", service]
        environment = self._environment(service)
        return (
            subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True).returncode
            == 0
        )

    def _get(self, path: str, data: Any = None, *, token: str = "") -> tuple[int, Any]:
        headers = {"Host": HOST, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = None if data is None else json.dumps(data).encode()
        return _send(Request(f"http://127.0.0.1:{self._ports['PORT']}{path}", body, headers))

    def _get_flower_status(self, login: str) -> int:
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        address = f"http://127.0.0.1:{self._ports['FLOWER_PORT']}/workers"
        return _send(Request(address, headers=headers))[0]

    def _wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not (ok := condition()) and time.monotonic() < deadline:
            time.sleep(0.3)
        _report(what, ok=ok)


def _send(request: Request) -> tuple[int, Any]:
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=10) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, json.load(response) if is_json else None
    except HTTPError as error:
        return error.code, None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _report(what: str, *, ok: bool) -> None:
    print(f"{'ok' if ok else 'FAILED'}  {what}", flush=True)
    if not ok:
        raise SystemExit(f"See the logs in {ROOT}.")


if __name__ == "__main__":
    sys.exit(main())
