from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):
    """OpenAPI description of the access token, and of the login that Swagger UI can do for it."""

    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = ["accessToken", "passwordLogin"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Either scheme is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        token_url = f"{settings.SPECTACULAR_SETTINGS['SCHEMA_PATH_PREFIX']}/auth/login"
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `access_token` that a login returns.",
            },
            {
                "type": "oauth2",
                "flows": {"password": {"tokenUrl": token_url, "scopes": {}}},
                "description": "Sign in with a username or an email, and a password.",
            },
        ]
