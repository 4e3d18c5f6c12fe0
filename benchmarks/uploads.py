"""How fast a session uploads to a folder, side by side with rclone in one run.

`python -m benchmarks.uploads` prints a table and writes `var/bench/uploads.json`;
`benchmarks/README.md` says what each ratio means. It needs rclone (Debian's package).
"""

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.catalog import VAR, compare, make_environment, print_results, run_manage
from config.local import LocalServices

DATABASE = "bench_uploads"
FOLDER = VAR / f"uploads-{os.getpid()}"
COMPANY, BUCKET = "bench", "field-data"
BLOCK = os.urandom(1024 * 1024)


def small_files(folder: Path) -> None:
    """10,000 files of 4 kB in 100 folders."""
    for number in range(10_000):
        path = folder / f"day-{number % 100:02}" / f"reading-{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(4096))


def large_files(folder: Path) -> None:
    """2 GB in 20 files."""
    folder.mkdir(parents=True)
    for number in range(20):
        with (folder / f"scan-{number:02}.bin").open("wb") as file:
            for _ in range(100):
                file.write(BLOCK)


def prepared(services: LocalServices) -> None:
    """This process becomes one of Bureau's, on a database of its own."""
    env = make_environment(DATABASE, services) | {
        "UPLOAD_ROOT": str(FOLDER / "ours"),
        "UPLOAD_SOURCE_ROOT": str(FOLDER / "sources"),
    }
    with psycopg.connect(services.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    run_manage(env, "migrate", "--verbosity", "0")
    os.environ |= env | {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    import django

    django.setup()
    from config.celery import keep_what_is_loaded

    keep_what_is_loaded()


def sessions(kind: str, amount: int) -> Callable[[], float]:
    """What runs one more session of that folder, as a worker does; returns `amount` a second."""
    from accounts.models import Company, User
    from common.jobs import runner
    from uploads.models import Cycle, Project, Session

    company, _ = Company.objects.get_or_create(code=COMPANY, defaults={"name": "Bench"})
    user, _ = User.objects.get_or_create(
        email="bench@example.org", defaults={"username": "bench", "company": company}
    )
    owned = {"company": company}
    project = Project.objects.create(name=kind, bucket_name=BUCKET, **owned)
    cycle = Cycle.objects.create(project=project, name=kind, number=1, **owned)

    def run() -> float:
        session = Session.objects.create(
            user=user,
            project=project,
            cycle=cycle,
            local_directory=kind,
            prefix=f"{kind}-{time.time_ns()}",
            **owned,
        )
        session.start()
        seconds = timed(kind, lambda: runner.run(Session, session.pk))
        session.refresh_from_db()
        if session.status != "completed" or session.files_uploaded != session.total_files:
            raise RuntimeError(f"{session.status}: {session.error}")
        empty(FOLDER / "ours" / COMPANY / BUCKET / session.prefix)
        return amount / seconds

    return run


def rclone(kind: str, amount: int) -> Callable[[], float]:
    """What copies that folder to a new one with rclone; returns `amount` a second."""
    numbers = count()

    def run() -> float:
        target = FOLDER / "theirs" / f"{kind}-{next(numbers)}"
        command = ["rclone", "--config", "", "copy", "--checksum", source(kind), target]
        seconds = timed(kind, lambda: subprocess.run(command, check=True))
        empty(target)
        return amount / seconds

    return run


def source(kind: str) -> Path:
    return FOLDER / "sources" / COMPANY / kind


def timed(kind: str, call: Callable[[], Any]) -> float:
    """The seconds that `call` takes, with the files that it is to read in memory."""
    # What was written before is not to be paid for by who comes next.
    os.sync()
    warm(source(kind))
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def warm(folder: Path) -> None:
    """Read it all.

    rclone lets the kernel drop what it has read (`POSIX_FADV_DONTNEED`), so who comes after it
    would read from the disk what rclone itself has found in memory.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1024 * 1024):
                    pass


def empty(folder: Path) -> None:
    """Give the space back and keep the files.

    ext4 takes seconds to use a deleted file's inode again, and searches past each of them.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 1024 * 1024:
            os.truncate(path, 0)


def measured(only: str, rounds: int) -> Iterator[dict[str, Any]]:
    kinds = {
        "small": ("10,000 files of 4 kB: files a second", small_files, 10_000),
        "large": ("2 GB in 20 files: MB a second", large_files, 2_097),
    }
    for kind, (what, make, amount) in kinds.items():
        if only not in ("", kind):
            continue
        make(source(kind))
        figures = compare(sessions(kind, amount), rclone(kind, amount), rounds=rounds)
        yield {"what": what, "goal": 1.0, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["", "small", "large"], default="")
    options = parser.parse_args()
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services:
        prepared(services)
        results = list(measured(options.only, options.rounds))
    print_results(results)
    (VAR / "uploads.json").write_text(json.dumps(results, indent=1))
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
