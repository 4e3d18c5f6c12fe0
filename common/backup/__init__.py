"""Backups: one file with every row and every uploaded file, and the way back.

A `.tar.gz` that holds `tables/<name>` (PostgreSQL's own COPY text), `files/<folder>/<path>` and, as
its last member, `manifest.json`: which migrations it belongs to, and the rows and SHA-256 of each
member. So a file that was cut off has no manifest, and one that was damaged does not fit it; both
are found before anything is changed.

The rows are those of one moment (a REPEATABLE READ transaction), the files those of right after it:
a row never misses its file. Secrets, caches and messages are not in it: the first belong to the
installation, the others come back by themselves.

Needs no program but Python, so it works in a container, on a platform and on a laptop alike.
"""

from common.backup.errors import BackupError
from common.backup.reader import Backup
from common.backup.restorer import restore
from common.backup.writer import write

__all__ = ["Backup", "BackupError", "restore", "write"]
