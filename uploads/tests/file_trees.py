"""Folders to upload, and what to compare afterwards."""

import hashlib
import os
import random
from pathlib import Path


def grow(folder: Path, files: int, *, largest: int = 20_000, seed: int = 1) -> None:
    """So many files of other sizes and contents each, in a few folders."""
    chance = random.Random(seed)
    for number in range(files):
        path = folder / f"day {number % 7}" / f"reading-{number:04}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(largest)))


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below the folder, by its path in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def inodes(folder: Path) -> dict[str, int]:
    """An object that is sent again has another number."""
    return {
        str(path.relative_to(folder)): os.lstat(path).st_ino
        for path in folder.rglob("*")
        if path.is_file()
    }
