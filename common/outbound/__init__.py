"""HTTP requests to URLs that are not fixed in code: from settings, rows and redirects.

Each address is checked before the connection (docs/adr/0027-outbound-client.md).
"""

from httpx2 import Response

from common.outbound.client import open_response, read_body
from common.outbound.errors import OutboundError

__all__ = ["OutboundError", "Response", "open_response", "read_body"]
