from rest_framework.parsers import MultiPartParser

from common.documents.limits import get_limits

# The other fields, and the boundaries and headers between fields.
MAX_FORM_OVERHEAD_BYTES = 1_048_576


class DocumentParser(MultiPartParser):
    """A parser for forms with a document."""

    @property
    def max_body_bytes(self) -> int:
        return get_limits().max_bytes + MAX_FORM_OVERHEAD_BYTES
