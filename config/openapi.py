"""How the API is described, at `/docs` and in its schema."""

from config.environment import BASE_DIR

VERSION = "1.0.0"

SPECTACULAR_SETTINGS = {
    "TITLE": "Bureau",
    "DESCRIPTION": (BASE_DIR / "config" / "api.md").read_text(),
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
        "RoleOrUserEnum": "accounts.serializers.ROLE_CHOICES",
        "JobStatusEnum": "common.jobs.models.JobStatus",
        "CycleStatusEnum": "uploads.models.CYCLE_STATUSES",
        "SessionStatusEnum": "uploads.models.SessionStatus",
        "FileStatusEnum": "uploads.models.SessionFile.Status",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}
# The chapters of the API's description, in order; an app's routes that are not named come last.
API_TAGS = {
    "auth": "Sign up, in and out; passwords; one's own logins.",
    "profile": "Who one is.",
    "companies": "The tenants.",
    "users": "The people of a company.",
    "admin": "The people of a company, for its admin.",
    "invitations": "Ask people to join.",
    "notes": "What somebody wrote down; it summarises itself.",
    "summaries": "Summaries of texts, notes and files.",
    "summary-templates": "Forms that a summary may have.",
    "products": "What companies offer; anybody may read it.",
    "projects": "What field data belongs to.",
    "cycles": "Rounds of a project.",
    "sessions": "Folders of files on their way to storage.",
    "uploads": "Start a session and follow it.",
    "posts": "The news feed, mirrored.",
}
