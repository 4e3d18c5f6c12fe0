from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TicketScheme(OpenApiAuthenticationExtension):
    """Describes the ticket of a stream, which is also one of its query parameters."""

    target_class = "integrations.live.authentication.TicketAuthentication"
    name = "ticket"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "For browsers: `POST /events/tickets` gives one, which works once.",
        }
