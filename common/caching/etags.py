"""Strong validators of response bodies (RFC 9110, 8.8.3)."""

import hashlib

from django.utils.http import parse_etags


def etag_of(body: bytes) -> str:
    """Return the quoted ETag of a body."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(header: str, etag: str, *, weak: bool = False) -> bool:
    """Return whether `If-Match`, or with `weak` `If-None-Match`, contains the ETag."""
    candidates = parse_etags(header)
    return "*" in candidates or etag in candidates or (weak and f"W/{etag}" in candidates)
