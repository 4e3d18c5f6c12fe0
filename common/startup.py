"""What each server does with the database before it serves."""

from django.db import DatabaseError

from common.backup.errors import BackupError
from common.backup.folders import finish_restores
from common.migration_checksums import close_connections, exit_if_incompatible


def prepare_database() -> None:
    """Refuse a database that other migrations made, and finish a killed restore.

    Exit with a sentence if either fails; a database that can't be reached is waited for.
    """
    exit_if_incompatible()
    try:
        finish_restores()
    except DatabaseError:
        return
    except BackupError as error:
        raise SystemExit(f"Bureau can't start. {error}") from None
    finally:
        close_connections()
