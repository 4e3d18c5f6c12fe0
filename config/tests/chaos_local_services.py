"""The clone's own servers: starts, stops, kills, forks and unusual paths."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from redis import Redis

from config.local import LocalServiceError, LocalServices
from config.local import server as server_module
from config.local.paths import LocalPaths
from config.local.processes import wait_for_exit

pytestmark = pytest.mark.slow

# A process that uses the servers: it enters, prints "entered", and leaves when its input ends.
# With "fork" it has an idle forked child.
USER_SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from config.local import LocalServices
# A background job of a shell starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with LocalServices(Path(sys.argv[1])):
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(60)
    print("entered", flush=True)
    sys.stdin.read()
print("left", flush=True)
"""
REPOSITORY = Path(__file__).resolve().parents[2]
User = subprocess.Popen[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A var folder that most tests share, as creating the data takes a second."""
    return tmp_path_factory.mktemp("clone") / "var"


@pytest.fixture(autouse=True)
def _no_server_is_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    remaining = servers_below(tmp_path_factory.getbasetemp())
    for process in remaining:
        process.kill()
    assert remaining == []


@pytest.fixture
def user(root: Path) -> Iterator[Callable[..., User]]:
    """Start processes that use the servers."""
    users: list[User] = []

    def start(folder: Path = root, *options: str, wait: bool = True) -> User:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", USER_SCRIPT, str(folder), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
        )
        users.append(process)
        if wait:
            assert_entered(process)
        return process

    yield start
    for process in users:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def assert_entered(user: User) -> None:
    assert user.stdout is not None
    assert user.stdout.readline() == "entered\n"


def leave(user: User) -> None:
    output, _ = user.communicate(timeout=20)
    assert (output, user.returncode) == ("left\n", 0)


def kill(owner: User, servers: list[psutil.Process]) -> None:
    owner.kill()
    owner.wait()
    for process in servers:
        process.kill()
    assert wait_for_exit(servers, timeout=10) == []


def servers_below(folder: Path) -> list[psutil.Process]:
    """Return the running servers; PostgreSQL's children have titles and are not matched."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if (
            words
            and Path(words[0]).name in {"postgres", "valkey-server"}
            and any(word.startswith(f"{folder}/") for word in words)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            found.append(process)
    return found


def names(processes: list[psutil.Process]) -> list[str]:
    return sorted(Path(process.cmdline()[0]).name for process in processes)


BOTH = ["postgres", "valkey-server"]


@contextmanager
def clients(services: LocalServices) -> Iterator[tuple[psycopg.Connection[Any], "Redis[str]"]]:
    with (
        psycopg.connect(services.database_url, autocommit=True) as database,
        Redis.from_url(services.redis_url, decode_responses=True) as redis,
    ):
        yield database, redis


def remember(services: LocalServices, value: str) -> None:
    with clients(services) as (database, redis):
        database.execute("CREATE TABLE IF NOT EXISTS memory (value text)")
        database.execute("TRUNCATE memory")
        database.execute("INSERT INTO memory VALUES (%s)", [value])
        redis.set("memory", value)


def recall(services: LocalServices) -> list[str | None]:
    with clients(services) as (database, redis):
        row = database.execute("SELECT value FROM memory").fetchone()
        return [row[0] if row else None, redis.get("memory")]


def test_data_survives_a_restart(root: Path) -> None:
    with LocalServices(root) as services:
        remember(services, "before")
        assert names(servers_below(root)) == BOTH
    assert servers_below(root) == []

    started = time.monotonic()
    with LocalServices(root) as services:
        assert time.monotonic() - started < 5
        assert recall(services) == ["before", "before"]


def test_the_servers_run_with_our_settings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    shown = "fsync", "server_encoding", "max_connections", "listen_addresses"
    with LocalServices(root) as services, clients(services) as (database, redis):
        values = [database.execute(f"SHOW {name}").fetchone() for name in shown]
        assert values == [("on",), ("UTF8",), ("200",), ("",)]
        locale = "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'bureau'"
        assert database.execute(locale).fetchone() == ("b", "C.UTF-8")
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction", "port": "0"}
        assert {name: redis.config_get(name)[name] for name in wanted} == wanted


def test_only_the_owner_can_reach_the_servers(root: Path) -> None:
    with LocalServices(root) as services:
        for folder in (services.postgres_socket_dir, services.redis_socket.parent):
            assert folder.stat().st_mode & 0o777 == 0o700
        for server in servers_below(root):
            assert server.net_connections("tcp") == []
            assert server.uids().real != 0


def test_urls_are_known_before_a_server_starts(tmp_path: Path) -> None:
    one, same, other = (LocalServices(tmp_path / name) for name in ("one", "one", "other"))
    assert (one.database_url, one.redis_url) == (same.database_url, same.redis_url)
    assert one.database_url != other.database_url
    assert not (tmp_path / "one").exists()


def test_only_the_requested_servers_start(root: Path, tmp_path: Path) -> None:
    with LocalServices(root, postgres=False):
        assert names(servers_below(root)) == ["valkey-server"]
    with LocalServices(tmp_path / "var", postgres=False, valkey=False):
        assert not (tmp_path / "var").exists()


def test_the_last_user_stops_the_servers(root: Path, user: Callable[..., User]) -> None:
    first, second = user(), user()
    before = servers_below(root)
    leave(first)
    assert servers_below(root) == before
    leave(second)
    assert servers_below(root) == []


def test_four_users_can_start_at_once_in_a_new_clone(
    tmp_path: Path, user: Callable[..., User]
) -> None:
    users = [user(tmp_path / "var", wait=False) for _ in range(4)]
    for each in users:
        assert_entered(each)
    assert names(servers_below(tmp_path)) == BOTH
    for each in users:
        leave(each)
    assert servers_below(tmp_path) == []


def test_a_user_can_enter_while_another_leaves(root: Path, user: Callable[..., User]) -> None:
    for _ in range(2):
        leaving, entering = user(), user(wait=False)
        leave(leaving)
        assert_entered(entering)
        assert names(servers_below(root)) == BOTH
        leave(entering)


def test_the_next_user_takes_over_the_servers_of_a_killed_one(
    root: Path, user: Callable[..., User]
) -> None:
    owner = user()
    before = servers_below(root)
    kill(owner, [])
    with LocalServices(root):
        assert servers_below(root) == before
    assert servers_below(root) == []


def test_data_survives_a_kill_of_all_processes(root: Path, user: Callable[..., User]) -> None:
    owner = user()
    services = LocalServices(root)
    remember(services, "durable")
    busy = psycopg.connect(services.database_url, autocommit=True)
    kill(owner, servers_below(root))
    with services:
        assert recall(services) == ["durable", "durable"]
    with pytest.raises(psycopg.OperationalError):
        busy.execute("SELECT 1")


def test_a_start_waits_for_backends_of_the_killed_server(
    root: Path, user: Callable[..., User]
) -> None:
    owner = user()
    services = LocalServices(root)
    connection = psycopg.connect(services.database_url)
    backend = psutil.Process(connection.info.backend_pid)
    backend.suspend()
    kill(owner, servers_below(root))
    next_owner = user(wait=False)
    log = root / "log" / "postgres.log"
    while "is still in use" not in log.read_text():
        time.sleep(0.05)
    backend.resume()
    assert_entered(next_owner)
    leave(next_owner)
    connection.close()


def test_a_second_user_restarts_killed_servers(root: Path) -> None:
    with LocalServices(root):
        for process in servers_below(root):
            process.kill()
        with LocalServices(root) as again:
            remember(again, "again")
            assert names(servers_below(root)) == BOTH


def test_restart_dead_starts_killed_servers(root: Path) -> None:
    with LocalServices(root) as services:
        remember(services, "durable")
        assert services.restart_dead() == []
        killed = servers_below(root)
        for process in killed:
            process.kill()
        assert wait_for_exit(killed, timeout=10) == []
        assert sorted(services.restart_dead()) == ["PostgreSQL", "Valkey"]
        assert services.restart_dead() == []
        assert recall(services) == ["durable", "durable"]


def test_servers_stop_after_their_folder_was_deleted(tmp_path: Path) -> None:
    with LocalServices(tmp_path / "var"):
        assert names(servers_below(tmp_path)) == BOTH
        shutil.rmtree(tmp_path / "var", ignore_errors=True)  # they may be writing
    assert servers_below(tmp_path) == []


def test_a_new_clone_at_the_same_path_gets_new_servers(
    root: Path, user: Callable[..., User]
) -> None:
    owner = user()
    orphans = servers_below(root)
    shutil.rmtree(root)
    root.mkdir()
    services = LocalServices(root)
    with services:
        remember(services, "new")
        assert recall(services) == ["new", "new"]
    kill(owner, [server for server in orphans if server.is_running()])


def test_a_stale_pid_file_with_a_reused_pid_is_ignored(root: Path) -> None:
    with LocalServices(root):
        content = (root / "postgres" / "postmaster.pid").read_bytes()
        owner = (root / "postgres").stat().st_uid
    as_owner = {"user": owner} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **as_owner) as stranger:
        _, _, rest = content.partition(b"\n")
        pid_file = root / "postgres" / "postmaster.pid"
        pid_file.write_bytes(b"%d\n%s" % (stranger.pid, rest))
        os.chown(pid_file, owner, -1)
        pid_file.chmod(0o600)
        with LocalServices(root) as services:
            remember(services, "mine")
        assert stranger.poll() is None
        stranger.kill()


def test_a_kill_while_the_data_is_created_leaves_nothing_behind(
    tmp_path: Path, user: Callable[..., User]
) -> None:
    root = tmp_path / "var"
    owner = user(root, wait=False)
    while not list(root.glob("postgres.new-*/base")):
        time.sleep(0.01)
    kill(owner, [])
    assert not (root / "postgres").exists()
    with LocalServices(root) as services:
        remember(services, "new")
    assert sorted(path.name for path in root.iterdir()) == ["log", "postgres", "run", "valkey"]


def test_repeated_ctrl_c_still_stops_the_servers_cleanly(
    root: Path, user: Callable[..., User]
) -> None:
    owner = user()
    (root / "log" / "postgres.log").write_text("")
    while owner.poll() is None:
        os.killpg(owner.pid, signal.SIGINT)
        time.sleep(0.02)
    assert servers_below(root) == []
    assert "database system is shut down" in (root / "log" / "postgres.log").read_text()


def test_a_forked_child_does_not_stop_the_servers(root: Path) -> None:
    with LocalServices(root) as services:
        before = servers_below(root)
        child = os.fork()
        if child == 0:
            services.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert servers_below(root) == before


def test_an_orphaned_forked_child_does_not_keep_the_servers_running(
    root: Path, user: Callable[..., User]
) -> None:
    kill(user(root, "fork"), [])
    with LocalServices(root):
        assert names(servers_below(root)) == BOTH
    assert servers_below(root) == []


def test_a_long_path_with_special_characters_works(tmp_path: Path) -> None:
    root = tmp_path / ("a long 'name', 50% \"of\" it quoted " + "x" * 130) / "var"
    root.parent.mkdir()
    services = LocalServices(root)
    assert len(str(services.redis_socket)) < 100
    with services:
        remember(services, "far")
        assert recall(services) == ["far", "far"]
    assert not services.postgres_socket_dir.parent.exists()


def test_a_socket_path_with_a_space_works(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("a b,c")
    services = LocalServices(root, postgres=False)
    assert services.redis_socket.is_relative_to(root)
    assert "%20" in services.redis_url
    with services, Redis.from_url(services.redis_url) as redis:
        assert redis.ping()


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalServiceError, match="belongs to another user"):
        LocalPaths(tmp_path)._make_private(tmp_path, {os.geteuid() + 1})


def test_a_symlink_in_tmp_is_refused(tmp_path: Path) -> None:
    """Another user could create one at the path of a clone's socket folder."""
    root = tmp_path / ("x" * 150)
    sockets = LocalPaths(root).sockets
    sockets.symlink_to(tmp_path)
    try:
        with pytest.raises(LocalServiceError, match="belongs to another user"):
            LocalServices(root).__enter__()
    finally:
        sockets.unlink()


def test_a_missing_wheel_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "find_spec", lambda name: None)
    with pytest.raises(LocalServiceError, match=r"pip install -r requirements/dev\.txt"):
        LocalServices(root).__enter__()


def test_a_failed_start_shows_the_end_of_the_log(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "postgres", tmp_path / "postgres")
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n")
    for path in (tmp_path / "postgres", *(tmp_path / "postgres").rglob("*")):
        os.chown(path, (root / "postgres").stat().st_uid, -1)
    with pytest.raises(LocalServiceError, match=r"initialized by PostgreSQL version 9\.6"):
        LocalServices(tmp_path).__enter__()
