"""Request bodies that nobody wants."""

from django.http import HttpRequest

CHUNK = 65_536
PATIENCE = 128 * 1_048_576  # bytes that are read for courtesy


def discard(request: HttpRequest) -> None:
    """Read a body that is too large and forget it, or its sender would never see the answer: most
    clients don't listen before they have sent all, and a closed connection is all that they find.
    """
    for _ in range(PATIENCE // CHUNK):
        if not request.read(CHUNK):
            return
