class BackupError(Exception):
    """The backup cannot be made or used; the text says why and what to do."""
