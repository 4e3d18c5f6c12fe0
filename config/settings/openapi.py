"""Settings of the OpenAPI schema and its pages."""

from config.environment import BASE_DIR
from config.version import VERSION

SPECTACULAR_SETTINGS = {
    "TITLE": "Bureau",
    "DESCRIPTION": (BASE_DIR / "config" / "settings" / "api_description.md").read_text(),
    "SERVERS": [{"url": "/", "description": "This installation"}],
    "GET_LIB_DOC_EXCLUDES": "common.api.schema.get_doc_excludes",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.api.schema.postprocess_schema",
    ],
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "displayRequestDuration": True,
        "docExpansion": "list",
        "filter": True,
        "persistAuthorization": True,
    },
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "accounts.models.Role",
        "RoleOrUserEnum": "accounts.serializer_fields.ROLE_CHOICES",
        "JobStatusEnum": "common.jobs.status.JobStatus",
        "CycleStatusEnum": "uploads.models.CYCLE_STATUSES",
        "SessionStatusEnum": "uploads.models.SessionStatus",
        "FileStatusEnum": "uploads.models.SessionFile.Status",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
# The tags of the schema, in order; tags that are not listed come last.
API_TAGS = {
    "auth": "Sign up, sign in and out; passwords; your own logins.",
    "profile": "Your own account.",
    "companies": "The tenants.",
    "users": "The people of a company.",
    "admin": "The people of a company, for its admins.",
    "invitations": "Invite people to a company.",
    "notes": "Notes, each with a summary made in the background.",
    "summaries": "Summaries of texts, notes and files.",
    "summary-templates": "Instructions for summaries, built in or your company's own.",
    "products": "The public catalogue of all companies.",
    "recommendations": "Products for a person, and products like one.",
    "projects": "Projects, which field data belongs to.",
    "cycles": "Rounds of a project.",
    "sessions": "Uploads of a folder to storage.",
    "uploads": "Start an upload session and follow its progress.",
    "posts": "The mirrored news feed.",
    "events": "What has changed, and who is told.",
    "audit": "Who did what in the company, and what was denied.",
}
