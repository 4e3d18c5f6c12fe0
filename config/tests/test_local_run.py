"""`make run` and `make dev`: locks, ports, processes and their signals."""

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from config.environment import Environment
from config.local import LocalServiceError, dev
from config.local.locks import FileLock
from config.local.process_manager import ProcessManager, kill_marked_processes
from config.local.processes import find_by_environment
from config.local.run import banner, check_ports, read_procfile

pytestmark = pytest.mark.slow


def test_a_lock_is_shared_or_exclusive(tmp_path: Path) -> None:
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire(shared=True)
    assert two.acquire(shared=True)
    assert not one.acquire()
    assert two.acquire()
    assert not one.acquire(shared=True, timeout=0.1)
    two.release()
    assert one.acquire()
    one.release()


def test_the_process_manager_kills_processes_that_ignore_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.local.process_manager.TERMINATE_TIMEOUT_S", 0.5)
    monkeypatch.setattr("config.local.process_manager.KILL_TIMEOUT_S", 0.5)
    handlers = [signal.getsignal(signum) for signum in (1, 2, 15)]
    mark = str(tmp_path)
    with ProcessManager(mark, dict(os.environ), tmp_path) as children:
        children.start("stubborn", """sh -c 'trap "" TERM; sleep 60 & setsid sleep 60; wait'""")
        children.start("brief", "A=3 sh -c 'exit $A'")
        while not (ended := children.collect_exits()):
            time.sleep(0.05)
        assert ended == [("brief", 3)]
        assert children.collect_exits() == []
        assert len(find_by_environment("BUREAU_RUN", mark)) == 3
    for signum, handler in zip((1, 2, 15), handlers, strict=True):
        signal.signal(signum, handler)
    assert find_by_environment("BUREAU_RUN", mark) == []


def test_processes_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    marked = {**os.environ, "BUREAU_RUN": str(tmp_path)}
    with subprocess.Popen(["sleep", "60"], env=marked) as leftover:
        assert kill_marked_processes(str(tmp_path / "other")) == 0
        assert kill_marked_processes(str(tmp_path)) == 1
        assert leftover.wait() == -signal.SIGTERM


def environment(**values: Any) -> Environment:
    return Environment(_env_file=None, debug=True, **values)


def test_a_taken_port_is_reported_with_its_setting(unused_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalServiceError, match=rf"Port {port} .*set GRPC_PORT"):
            check_ports(environment(host="127.0.0.1", port=unused_port, grpc_port=port))
    with pytest.raises(LocalServiceError, match="the same"):
        check_ports(environment(port=9000, grpc_port=9000))


def test_the_banner_shows_only_the_well_known_password() -> None:
    assert "admin123" in banner(environment(first_superuser_password=""))
    assert "a-password-of-mine" not in banner(
        environment(first_superuser_password="a-password-of-mine")
    )


def test_a_process_in_the_terminal_returns_its_exit_code(tmp_path: Path) -> None:
    handlers = [signal.getsignal(signum) for signum in (1, 2, 15)]
    with ProcessManager(str(tmp_path), dict(os.environ), tmp_path) as processes:
        assert processes.run_in_terminal(["sh", "-c", "exit 3"]) == 3
    for signum, handler in zip((1, 2, 15), handlers, strict=True):
        signal.signal(signum, handler)


@pytest.mark.parametrize("terminal", ["web", "worker", "mail"])
def test_in_development_one_process_has_the_terminal_and_all_others_reload(terminal: str) -> None:
    procfile = read_procfile()
    commands = dev.background_commands(procfile, terminal)
    assert set(commands) == set(procfile) - {terminal}
    assert all("watchfiles" in command for command in commands.values())
    assert shlex.split(commands["grpc"][5])[-1] == "exec env python manage.py grpcserver"
    words = " ".join(dev.terminal_command(procfile, terminal, environment(port=8001)))
    assert ("runserver 127.0.0.1:8001" in words) == (terminal == "web")
    assert ("--pool solo" in words) == (terminal != "web")
