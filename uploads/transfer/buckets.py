"""Which buckets there are for a company."""

import re

from django.conf import settings

# S3's rules, in folders too, so that a project can move from one to the other.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")


def bucket_problem(company_code: str, bucket: str) -> str:
    """Why the company can't keep its objects in `bucket`, in a sentence; `""` where it can."""
    if not _NAME.fullmatch(bucket):
        return (
            "A bucket's name has 3 to 63 characters: a to z, digits, dots and hyphens; "
            "it begins and ends with a letter or digit."
        )
    if settings.UPLOAD_STORAGE == "s3" and bucket not in settings.S3_BUCKETS.get(company_code, ()):
        return "This bucket is not open to your company; the operator says which are."
    return ""
