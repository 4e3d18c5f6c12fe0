from rest_framework.parsers import MultiPartParser

from common.api.request_body import MAX_FORM_OVERHEAD_BYTES
from common.documents.limits import get_limits


class DocumentParser(MultiPartParser):
    """A parser for forms with a document."""

    @property
    def max_body_bytes(self) -> int:
        return get_limits().max_bytes + MAX_FORM_OVERHEAD_BYTES
