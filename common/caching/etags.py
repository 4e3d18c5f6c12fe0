"""Validators of response bodies (RFC 9110, 8.8.3)."""

import hashlib
import re

from django.utils.http import parse_etags

# What compressing proxies append to a tag: Caddy and Apache `-gzip`, others `--gzip` or `;gzip`.
ENCODING_SUFFIX = re.compile(
    r'[-;:+./]{1,2}(x-gzip|gzip|br|zstd|deflate|compress)"$', re.IGNORECASE
)


def etag_of(body: bytes) -> str:
    """Return the quoted ETag of a body."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(header: str, etag: str) -> bool:
    """Return whether `If-Match` or `If-None-Match` contains the ETag.

    Proxies that compress a response change its tag: they append the encoding or make the tag weak.
    It still identifies the body that was compressed.
    """
    return any(tag in ("*", etag) for tag in map(_remove_encoding, parse_etags(header)))


def _remove_encoding(tag: str) -> str:
    """Return a tag as it was before a proxy compressed the body."""
    return ENCODING_SUFFIX.sub('"', tag.removeprefix("W/"))
