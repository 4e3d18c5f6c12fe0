"""Folders of test files, and ways to compare two of them."""

import hashlib
import os
import random
from pathlib import Path


def write_files(folder: Path, files: int, *, max_bytes: int = 20_000, seed: int = 1) -> None:
    """Write files of random sizes and contents into seven subfolders."""
    generator = random.Random(seed)
    for number in range(files):
        path = folder / f"day {number % 7}" / f"reading-{number:04}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(generator.randrange(max_bytes)))


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below the folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def inodes(folder: Path) -> dict[str, int]:
    """Return the inode number of each file; a rewritten object gets a new one."""
    return {
        str(path.relative_to(folder)): os.lstat(path).st_ino
        for path in folder.rglob("*")
        if path.is_file()
    }
