"""Measure how fast a session uploads to a folder, side by side with rclone.

`python -m benchmarks.uploads` prints a table and writes `var/bench/uploads.json`;
`benchmarks/README.md` explains the ratios. It needs rclone (Debian's package).
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


def write_small_files(folder: Path) -> None:
    """Write 10,000 files of 4 kB in 100 folders."""
    for number in range(10_000):
        path = folder / f"day-{number % 100:02}" / f"reading-{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(4096))


def write_large_files(folder: Path) -> None:
    """Write 2 GB in 20 files."""
    folder.mkdir(parents=True)
    for number in range(20):
        with (folder / f"scan-{number:02}.bin").open("wb") as file:
            for _ in range(100):
                file.write(BLOCK)


def set_up_django(services: LocalServices) -> None:
    """Create a database and set up Django in this process, as in a worker."""
    env = make_environment(DATABASE, services) | {
        "UPLOAD_ROOT": str(FOLDER / "bureau"),
        "UPLOAD_SOURCE_ROOT": str(FOLDER / "sources"),
    }
    with psycopg.connect(services.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    run_manage(env, "migrate", "--verbosity", "0")
    os.environ |= env | {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    import django

    django.setup()
    from config.celery import freeze_loaded_objects

    freeze_loaded_objects()


def make_session_benchmark(kind: str, amount: int) -> Callable[[], float]:
    """Return a function that runs a session and returns `amount` per second."""
    from accounts.models import Company, User
    from common.jobs import runner
    from uploads.models import Cycle, Project, Session

    company, _ = Company.objects.get_or_create(code=COMPANY, defaults={"name": "Bench"})
    user, _ = User.objects.get_or_create(
        email="bench@example.org", defaults={"username": "bench", "company": company}
    )
    project = Project.objects.create(name=kind, bucket_name=BUCKET, company=company)
    cycle = Cycle.objects.create(project=project, name=kind, number=1, company=company)

    def run() -> float:
        session = Session.objects.create(
            user=user,
            project=project,
            cycle=cycle,
            local_directory=kind,
            prefix=f"{kind}-{time.time_ns()}",
            company=company,
        )
        session.start()
        seconds = measure_seconds(kind, lambda: runner.run(Session, session.pk))
        session.refresh_from_db()
        if session.status != "completed" or session.files_uploaded != session.total_files:
            raise RuntimeError(f"{session.status}: {session.error}")
        truncate_files(FOLDER / "bureau" / COMPANY / BUCKET / session.prefix)
        return amount / seconds

    return run


def make_rclone_benchmark(kind: str, amount: int) -> Callable[[], float]:
    """Return a function that runs rclone and returns `amount` per second."""
    numbers = count()

    def run() -> float:
        target = FOLDER / "rclone" / f"{kind}-{next(numbers)}"
        command = ["rclone", "--config", "", "copy", "--checksum", source_folder(kind), target]
        seconds = measure_seconds(kind, lambda: subprocess.run(command, check=True))
        truncate_files(target)
        return amount / seconds

    return run


def source_folder(kind: str) -> Path:
    return FOLDER / "sources" / COMPANY / kind


def measure_seconds(kind: str, function: Callable[[], Any]) -> float:
    """Return the seconds of `function`, with the source files in the page cache."""
    # Finish earlier writes first, so that they do not slow this measurement down.
    os.sync()
    read_files(source_folder(kind))
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def read_files(folder: Path) -> None:
    """Read all files of a folder into the page cache.

    rclone drops what it has read from the page cache (`POSIX_FADV_DONTNEED`), so the next run would
    read from the disk.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1024 * 1024):
                    pass


def truncate_files(folder: Path) -> None:
    """Free the space of large files but keep the files.

    ext4 takes seconds to reuse the inode of a deleted file, and searches past each of them.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 1024 * 1024:
            os.truncate(path, 0)


def run_benchmarks(only: str, rounds: int) -> Iterator[dict[str, Any]]:
    kinds = {
        "small": ("10,000 files of 4 kB: files a second", write_small_files, 10_000),
        "large": ("2 GB in 20 files: MB a second", write_large_files, 2_097),
    }
    for kind, (title, write_files, amount) in kinds.items():
        if only not in ("", kind):
            continue
        write_files(source_folder(kind))
        session, rclone = make_session_benchmark(kind, amount), make_rclone_benchmark(kind, amount)
        yield {"what": title, "goal": 1.0, **compare(session, rclone, rounds=rounds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["", "small", "large"], default="")
    options = parser.parse_args()
    VAR.mkdir(parents=True, exist_ok=True)
    with LocalServices(VAR) as services:
        set_up_django(services)
        results = list(run_benchmarks(options.only, options.rounds))
    print_results(results)
    (VAR / "uploads.json").write_text(json.dumps(results, indent=1))
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
