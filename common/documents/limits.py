from common.documents.types import DocumentLimits


def get_limits() -> DocumentLimits:
    """Return the limits of the settings."""
    from django.conf import settings  # deferred: the child process does without Django (80 ms)

    return DocumentLimits(**settings.DOCUMENTS)
