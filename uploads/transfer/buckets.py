"""The rules for the bucket names that a company may use."""

import re

from django.conf import settings

# S3's rules. They also apply to folder stores, so that a project can move between the two.
BUCKET_PATTERN = r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]"


def bucket_problem(company_code: str, bucket: str) -> str:
    """Return why the company cannot use `bucket`, as a sentence, or "" if it can."""
    if not re.fullmatch(BUCKET_PATTERN, bucket):
        return (
            "A bucket name must have 3 to 63 characters (a to z, digits, dots and hyphens) and "
            "must begin and end with a letter or digit."
        )
    if settings.UPLOAD_STORAGE == "s3" and bucket not in settings.S3_BUCKETS.get(company_code, ()):
        return "This bucket is not open to your company. Ask the operator which buckets are."
    return ""
