"""`make run`: the servers, the database and the processes of the Procfile in one terminal."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from honcho.environ import parse_procfile

from config.environment import DEVELOPMENT_PASSWORD, Environment, is_set, load
from config.local.locks import FileLock, LocalServiceError
from config.local.paths import Places
from config.local.process_manager import Foreground, end_marked, stop_on_signal
from config.local.services import LocalServices

REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C (0) or until a process ends (its exit code); 1 if nothing can start."""
    if arguments == ["prepare"]:
        prepare()
        return 0
    stop_on_signal()
    try:
        return run(load_environment())
    except KeyboardInterrupt:
        return 0
    except LocalServiceError as error:
        print(f"Bureau cannot run. {error}", file=sys.stderr)
        return 1


def prepare() -> None:
    """Bring the database up to date; a process of its own, so that the runner stays small."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import call_command, execute_from_command_line

    # As a command line, so that a refused database ends this with a sentence.
    execute_from_command_line(["manage.py", "migrate", "--noinput"])
    call_command("seed_admin")
    call_command("seed_demo")


def load_environment() -> Environment:
    """The environment, with DEBUG on unless it is set: this is a development command."""
    if not is_set("DEBUG"):
        os.environ["DEBUG"] = "true"
    return load()


def run(environment: Environment) -> int:
    """Hold the clone's only run; whatever way this returns, all that it started has ended."""
    places = Places(environment.var_dir)
    places.make()
    lock = FileLock(places.run / "run.lock")
    if not lock.take():
        raise LocalServiceError(f"It runs already in this clone ({REPOSITORY}): stop it there.")
    try:
        return run_alone(environment, str(places.root))
    finally:
        lock.release()


def run_alone(environment: Environment, mark: str) -> int:
    """Servers, then database, then processes; stopped the other way round."""
    if count := end_marked(mark):
        print(f"Ended {count} processes that a killed run had left behind.", flush=True)
    check_ports(environment)
    services = LocalServices(
        environment.var_dir,
        postgres=environment.uses_local_postgres,
        valkey=environment.uses_local_valkey,
    )
    forget_figures(environment)
    with services, Foreground(mark, children_environment(environment), REPOSITORY) as children:
        children.say("Bringing the database up to date.")
        children.start("setup", [sys.executable, "-m", "config.local.run", "prepare"])
        if code := children.wait_for("setup"):
            return code
        for name, command in read_procfile().items():
            children.start(name, command)
        return watch(children, services, environment)


def forget_figures(environment: Environment) -> None:
    """Begin anew, so that no label of former code is left among the metrics."""
    for file in environment.metrics_dir.glob("*.db"):
        file.unlink(missing_ok=True)


def children_environment(environment: Environment) -> dict[str, str]:
    """With the addresses spelt out for the shell, and this Python's programs found first."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "HOST": environment.host,
        "PORT": str(environment.port),
        "GRPC_PORT": str(environment.grpc_port),
    }


def read_procfile() -> dict[str, str]:
    return dict(parse_procfile((REPOSITORY / "Procfile").read_text()).processes)


def watch(children: Foreground, services: LocalServices, environment: Environment) -> int:
    """Say once that all is ready; return when a process ends, as then the rest is no use.

    A server that dies is started again: the processes bear that it is away for a moment.
    """
    announced = False
    while (ended := children.ended()) is None:
        for name in services.revive():
            children.say(f"{name} had died and runs again.")
        if not announced and is_ready(environment.port):
            children.say(banner(environment))
            announced = True
        time.sleep(0.5)
    name, code = ended
    children.say(f"{name} has ended with code {code}: stopping everything.")
    return code


def is_ready(port: int) -> bool:
    # A proxy that is set for the outside world has no business here.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/ready", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def banner(environment: Environment) -> str:
    """Where to go and how to log in; no password but the one that the README tells."""
    address = f"http://127.0.0.1:{environment.port}"
    known = environment.debug and environment.admin_password == DEVELOPMENT_PASSWORD
    password = DEVELOPMENT_PASSWORD if known else "(FIRST_SUPERUSER_PASSWORD)"
    return f"""
    Bureau is ready. Ctrl-C stops everything.

    API      {address}/
    Docs     {address}/docs
    Admin    {address}/admin/
    Log in   {environment.first_superuser}  {password}
    Data     {environment.var_dir}/
    Mails    {environment.var_dir}/mail/
"""


def check_ports(environment: Environment) -> None:
    """Fail with a sentence before anything starts, not with a traceback of a child."""
    if environment.port == environment.grpc_port:
        raise LocalServiceError("PORT and GRPC_PORT are the same: set one of them to another.")
    for variable, port in (("PORT", environment.port), ("GRPC_PORT", environment.grpc_port)):
        try:
            check_port(environment.host, port)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]
            raise LocalServiceError(
                f"Port {port} on {environment.host} cannot be used ({reason}): set {variable} to"
                " a free one."
            ) from error


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, port), family=family).close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
