"""Write all rows and uploaded files to one file, and restore them.

A backup is a `.tar.gz` with `tables/<name>` (PostgreSQL's COPY text), `files/<folder>/<path>` and,
as its last member, `manifest.json`: the migrations and the schema that the rows belong to, and the
SHA-256 of each member. A truncated file has no manifest, and a damaged file has other checksums;
both are found before anything is changed. A backup of another schema is refused.

All rows are read in one REPEATABLE READ transaction, and the files right after it, so no row
misses its file. Secrets, caches and queued messages are not included: secrets belong to the
installation, and the rest is recreated.

A kill at any point of a restore leaves the old or the new state; see `common.backup.folders`.

It needs only Python, so it works in a container, on a platform and on a laptop.
"""

from common.backup.errors import BackupError
from common.backup.reader import Backup
from common.backup.restorer import restore_backup
from common.backup.writer import write_backup

__all__ = ["Backup", "BackupError", "restore_backup", "write_backup"]
