"""`make run` and `make dev`: start the servers, migrate the database, run the processes."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from honcho.environ import parse_procfile

from config.environment import DEVELOPMENT_PASSWORD, Environment, is_set, load
from config.local import dev
from config.local.locks import FileLock, LocalServiceError
from config.local.paths import LocalPaths
from config.local.process_manager import (
    ProcessManager,
    kill_marked_processes,
    raise_interrupt_on_signals,
)
from config.local.restarts import Restarts
from config.local.services import LocalServices

REPOSITORY = Path(__file__).resolve().parents[2]
WATCH_INTERVAL_S = 0.5
SERVER_RETRY_S = 10.0


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C (exit code 0); return another code if the start fails."""
    if arguments == ["prepare"]:
        prepare()
        return 0
    terminal = arguments[1] if arguments[:1] == ["dev"] else ""
    raise_interrupt_on_signals()
    try:
        return run(load_environment(), terminal)
    except KeyboardInterrupt:
        return 0
    except LocalServiceError as error:
        print(f"Bureau can't run. {error}", file=sys.stderr)
        return 1


def prepare() -> None:
    """Migrate and seed the database, in a separate process so that the runner stays small."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    from common.postgres.failures import exit_on_database_errors
    from common.startup import prepare_database

    with exit_on_database_errors():
        prepare_database()
        call_command("migrate", interactive=False)
        call_command("seed_admin")
        if settings.DEBUG:
            call_command("seed_demo")


def load_environment() -> Environment:
    """Read the settings; by default with DEBUG and this clone's own servers."""
    for name in ("DEBUG", "EMBEDDED_SERVERS"):
        if not is_set(name):
            os.environ[name] = "true"
    environment = load()
    environment.show_notices()
    return environment


def run(environment: Environment, terminal: str) -> int:
    """Run Bureau once per clone; when this returns, all that it started has ended.

    `terminal` names the process that has the terminal (see `config.local.dev`), if any.
    """
    paths = LocalPaths(environment.var_dir)
    paths.create()
    lock = FileLock(paths.run / "run.lock")
    if not lock.acquire():
        raise LocalServiceError(f"Bureau runs already in {REPOSITORY}: stop it first.")
    try:
        return run_processes(environment, terminal, str(paths.root))
    finally:
        lock.release()


def run_processes(environment: Environment, terminal: str, mark: str) -> int:
    """Start the servers, the database set-up and the processes; stop them in reverse order."""
    if count := kill_marked_processes(mark):
        print(f"Ended {count} processes left over from a killed run.", flush=True)
    check_ports(environment)
    services = LocalServices(
        environment.var_dir,
        postgres=environment.uses_local_postgres,
        valkey=environment.uses_local_valkey,
    )
    clear_metrics(environment)
    with services, ProcessManager(mark, child_environment(environment), REPOSITORY) as children:
        children.print("Updating the database.")
        children.start("setup", [sys.executable, "-m", "config.local.run", "prepare"])
        if code := children.wait_for("setup"):
            return code
        if terminal:
            procfile = read_procfile()
            for name, arguments in dev.background_commands(procfile, terminal).items():
                children.start(name, arguments)
            with watched_in_background(children, services, environment):
                arguments = dev.terminal_command(procfile, terminal, environment)
                return children.run_in_terminal(arguments)
        for name, command in read_procfile().items():
            children.start(name, command)
        watch(children, services, environment, threading.Event())
        return 0


def clear_metrics(environment: Environment) -> None:
    """Remove the metrics of earlier runs, whose labels may no longer exist."""
    for file in environment.metrics_dir.glob("*.db"):
        file.unlink(missing_ok=True)


def child_environment(environment: Environment) -> dict[str, str]:
    """Return the environment of the processes: addresses, and this Python's programs first."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "HOST": environment.host,
        "PORT": str(environment.port),
        "GRPC_PORT": str(environment.grpc_port),
        "LIVE_PORT": str(environment.live_port),
        "WEB_WORKERS": str(environment.web_workers),
    }


def read_procfile() -> dict[str, str]:
    return dict(parse_procfile((REPOSITORY / "Procfile").read_text()).processes)


def watch(
    children: ProcessManager,
    services: LocalServices,
    environment: Environment,
    stop: threading.Event,
) -> None:
    """Announce when Bureau is ready, and restart processes that end, until `stop` is set.

    When a PostgreSQL or Valkey dies, the processes reconnect to the next one.
    """
    announced = False
    restarts, terminal = Restarts(children), find_terminal()
    while not stop.wait(WATCH_INTERVAL_S):
        if terminal is not None and is_closed(terminal):
            os.kill(os.getpid(), signal.SIGHUP)  # interrupts the main thread
        restarts.check()
        restart_dead_servers(children, services, stop)
        if not announced and is_ready(environment):
            children.print(banner(environment))
            announced = True


def restart_dead_servers(
    children: ProcessManager, services: LocalServices, stop: threading.Event
) -> None:
    try:
        for name in services.restart_dead():
            children.print(f"{name} had died and was restarted.")
    except LocalServiceError as error:
        children.print(f"{error}\nTrying again in {SERVER_RETRY_S:g} s.")
        stop.wait(SERVER_RETRY_S)


def find_terminal() -> int | None:
    """Return a standard stream that is a terminal, if any is."""
    return next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)


def is_closed(terminal: int) -> bool:
    """Return whether a terminal was closed.

    The system sends SIGHUP only to the terminal's first process. If that is `make`, it does not
    forward the signal.
    """
    poll = select.poll()
    poll.register(terminal, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


@contextmanager
def watched_in_background(
    children: ProcessManager, services: LocalServices, environment: Environment
) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(children, services, environment, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def is_ready(environment: Environment) -> bool:
    host = environment.served_hosts[0].lstrip(".")
    request = Request(
        f"http://127.0.0.1:{environment.port}/ready",
        headers={"Host": "localhost" if host == "*" else host},
    )
    # Ignore a proxy that the environment sets for outside addresses.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def banner(environment: Environment) -> str:
    """Return where to go and how to sign in; only the well-known password is shown."""
    address = f"http://127.0.0.1:{environment.port}"
    is_well_known = environment.debug and environment.admin_password == DEVELOPMENT_PASSWORD
    password = DEVELOPMENT_PASSWORD if is_well_known else "(FIRST_SUPERUSER_PASSWORD)"
    return f"""
    Bureau is ready. Ctrl-C stops everything.

    API      {address}/
    Docs     {address}/docs
    Admin    {address}/admin/
    Events   http://127.0.0.1:{environment.live_port}/api/v1/events/stream
    Log in   {environment.first_superuser}  {password}
    Data     {environment.var_dir}/
    Mails    {environment.var_dir}/mail/
"""


def check_ports(environment: Environment) -> None:
    """Raise `LocalServiceError` if a port is taken, before anything starts."""
    ports = {
        "PORT": environment.port,
        "GRPC_PORT": environment.grpc_port,
        "LIVE_PORT": environment.live_port,
    }
    for first, second in combinations(ports, 2):
        if ports[first] == ports[second]:
            raise LocalServiceError(f"{first} and {second} are the same: change one of them.")
    for variable, port in ports.items():
        try:
            check_port(environment.host, port)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]
            raise LocalServiceError(
                f"Port {port} on {environment.host} can't be used ({reason}): set {variable} to"
                " a free one."
            ) from error


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, port), family=family).close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
