"""What one client may send: rates and sizes."""

from config.settings.runtime import env

# `common.ratelimit.rates` parses these rates.
API_RATE_LIMIT = env.api_rate_limit
AUTH_RATE_LIMIT = env.auth_rate_limit
AUTH_ACCOUNT_RATE_LIMIT = env.auth_account_rate_limit
INVITATION_RATE_LIMIT = env.invitation_rate_limit
RATE_LIMIT_PER_MINUTE = env.rate_limit_per_minute
RATE_LIMIT_PER_HOUR = env.rate_limit_per_hour

# Bytes of a request body, files excepted. Uploaded documents have limits of their own.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
# See `common.documents.DocumentLimits`.
DOCUMENTS: dict[str, int] = {
    "max_bytes": env.document_max_bytes,
    "max_unpacked_bytes": env.document_max_unpacked_bytes,
    "max_pages": env.document_max_pages,
    "max_characters": env.document_max_characters,
    "memory_mb": env.document_memory_mb,
    "seconds": env.document_seconds,
}
# Files of products; see docs/imports.md.
IMPORT_MAX_BYTES = env.import_max_bytes
IMPORT_MAX_ROWS = env.import_max_rows
