"""Set `Content-Security-Policy` and `Permissions-Policy` on responses."""

from typing import Any

from csp.constants import HEADER
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """HTML pages get `CONTENT_SECURITY_POLICY`; other responses may load nothing.

    `CONTENT_SECURITY_POLICY_FOR` adds directives for pages by the prefix of their path.
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
        parts.update = parts.update or self._additional_directives(request.path_info)
        return parts

    def _additional_directives(self, path: str) -> dict[str, Any] | None:
        for prefix, directives in settings.CONTENT_SECURITY_POLICY_FOR.items():
            if path.startswith(prefix):
                return directives
        return None
