from common.documents.types import DocumentLimits


def get_limits() -> DocumentLimits:
    """Return the limits of the settings."""
    from django.conf import settings  # deferred: the child process does not need Django (80 ms)

    return DocumentLimits(**settings.DOCUMENTS)
