"""Upload sessions: sources, storage, presigned URLs; and what a backup includes."""

from typing import Any

from config.settings.runtime import env

UPLOAD_SOURCE_ROOT = env.upload_source_root
UPLOAD_STORAGE = env.upload_storage
# Each has a folder named after the code of each company.
COMPANY_FOLDER_ROOTS = [env.upload_source_root, env.upload_root]
# Folders that a backup includes, by their name in it. Objects on S3 are not included.
BACKUP_FOLDERS = {"audit": env.audit_heads_dir}
if env.upload_storage == "folder":
    BACKUP_FOLDERS["uploads"] = env.upload_root
# Bureau checks its own URLs at each use; one of S3 can't be revoked, so it expires sooner.
UPLOAD_URL_SECONDS = env.upload_url_seconds or (900 if env.upload_storage == "s3" else 3600)
UPLOAD_URL_MAX_BYTES = env.upload_url_max_bytes
S3_BUCKETS = env.s3_buckets
# `uploads.transfer.stores` adds the company and its bucket to the options.
_BACKENDS: dict[str, dict[str, Any]] = {
    "folder": {
        "BACKEND": "uploads.transfer.stores.folder.FolderStore",
        "OPTIONS": {"root": env.upload_root, "durable": env.upload_fsync},
    },
    "s3": {
        "BACKEND": "uploads.transfer.stores.s3.S3Store",
        "OPTIONS": {
            "endpoint_url": env.s3_endpoint_url,
            "region_name": env.s3_region,
            "access_key": env.s3_access_key_id,
            "secret_key": env.s3_secret_access_key.get_secret_value(),
        },
    },
}
UPLOAD_BACKEND = _BACKENDS[UPLOAD_STORAGE]
