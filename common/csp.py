"""What a browser is allowed to do with an answer: Content-Security-Policy and its kin."""

from typing import Any

from csp.constants import HEADER
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class BrowserPolicyMiddleware(CSPMiddleware):
    """Data may load nothing at all; a page what `CONTENT_SECURITY_POLICY` lists.

    `CONTENT_SECURITY_POLICY_FOR` has what pages below certain paths need besides.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        if response.get("Content-Type", "").startswith("text/html"):
            return super().process_response(request, response)
        response.headers.setdefault(HEADER, "default-src 'none'; frame-ancestors 'none'")
        return response

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        parts.update = parts.update or self._more(request.path_info)
        return parts

    def _more(self, path: str) -> dict[str, Any] | None:
        for prefix, more in settings.CONTENT_SECURITY_POLICY_FOR.items():
            if path.startswith(prefix):
                return more
        return None
