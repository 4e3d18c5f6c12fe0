"""Strong validators of what was rendered (RFC 9110, 8.8.3)."""

import hashlib

from django.utils.http import parse_etags


def etag_of(body: bytes) -> str:
    """The validator of a representation, quoted as HTTP has it."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(header: str, etag: str, *, weakly: bool = False) -> bool:
    """Whether `If-Match`, or with `weakly` `If-None-Match`, names this validator."""
    named = parse_etags(header)
    return "*" in named or etag in named or (weakly and f"W/{etag}" in named)
