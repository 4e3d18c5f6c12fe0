"""The sizes of request bodies, known before a body is read.

The server gives every body a `Content-Length`, chunked ones too (`config.wsgi_threads`).
"""

from django.http import HttpRequest

# A description of 20,000 characters, each of them written as two `\uXXXX`, and other fields.
DEFAULT_MAX_BODY_BYTES = 512 * 1024
# Passwords, names and tokens. These bodies need no sign-in.
SIGN_IN_MAX_BODY_BYTES = 16 * 1024
# The size of a form with a file without the file: other fields, boundaries and headers of fields.
MAX_FORM_OVERHEAD_BYTES = 1024 * 1024


def parse_content_length(request: HttpRequest) -> int:
    """Return the `Content-Length`, or 0 without a valid one; Django reads no more than that."""
    try:
        return max(0, int(request.META.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0
