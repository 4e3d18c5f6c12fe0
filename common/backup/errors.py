class BackupError(Exception):
    """A backup cannot be written or restored; the message says why and what to do."""
