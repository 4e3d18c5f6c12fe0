"""The digests that a client may send with a body, in any of the headers in use for it."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.exceptions import ParseError

# Headers that contain one digest in base64, by the name of its algorithm in `hashlib`.
BASE64_HEADERS = {
    "Content-MD5": "md5",
    "x-amz-checksum-sha1": "sha1",
    "x-amz-checksum-sha256": "sha256",
}
BASE64_NAMES = {header.lower() for header in BASE64_HEADERS}
# RFC 9530; both are the same for a body that is sent whole and without an encoding.
DIGEST_FIELDS = ("Content-Digest", "Repr-Digest")
# The header that RFC 9530 replaced.
OLD_DIGEST_FIELD = "Digest"
DIGEST_ALGORITHMS = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
DIGEST_MEMBER = re.compile(r"\s*([a-z][a-z0-9-]*)=:([A-Za-z0-9+/=]*):\s*")
OLD_DIGEST_MEMBER = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)=([A-Za-z0-9+/]+=*)\s*")
# The digest that clients of S3 sign, in hexadecimal, or one of their words for "not signed".
S3_DIGEST = "x-amz-content-sha256"
S3_UNSIGNED = "UNSIGNED-PAYLOAD"
CHECKED_NAMES = ", ".join([*BASE64_HEADERS, *DIGEST_FIELDS])


class BodyDigests:
    """The digests of a body that arrives in chunks, and those that it must have."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Read the digests; raise `ParseError` for one that is malformed or can't be checked."""
        self._expected = list(_read_digests(headers))
        names = {algorithm for _, algorithm, _ in self._expected}
        self._hashes: dict[str, Any] = {
            name: hashlib.new(name, usedforsecurity=False) for name in names
        }

    def update(self, chunk: bytes) -> None:
        for digest in self._hashes.values():
            digest.update(chunk)

    def check(self) -> None:
        """Raise `ParseError` if the body has another digest than the client sent."""
        for header, algorithm, expected in self._expected:
            if self._hashes[algorithm].digest() != expected:
                raise ParseError(
                    f"The body does not match its {header}. Send it again.", code="bad_digest"
                )


def _read_digests(headers: Mapping[str, str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield the header, the algorithm and the digest of each digest that was sent."""
    for header in headers:
        if header.lower().startswith("x-amz-checksum-") and header.lower() not in BASE64_NAMES:
            raise ParseError(f"{header} can't be checked here. Use one of: {CHECKED_NAMES}.")
    for header, algorithm in BASE64_HEADERS.items():
        if header in headers:
            yield header, algorithm, _decode(header, algorithm, headers[header])
    for header in DIGEST_FIELDS:
        if header in headers:
            yield from _read_digest_field(header, headers[header], DIGEST_MEMBER, ":base64:")
    if OLD_DIGEST_FIELD in headers:
        value = headers[OLD_DIGEST_FIELD]
        yield from _read_digest_field(OLD_DIGEST_FIELD, value, OLD_DIGEST_MEMBER, "base64")
    if headers.get(S3_DIGEST, S3_UNSIGNED) != S3_UNSIGNED:
        yield S3_DIGEST, "sha256", _decode_hex(headers[S3_DIGEST])


def _read_digest_field(
    header: str, value: str, pattern: re.Pattern[str], form: str
) -> Iterator[tuple[str, str, bytes]]:
    """Yield the known digests of `sha-256=:…:, sha-512=:…:`; RFC 9530 lets others be ignored."""
    members = [pattern.fullmatch(member) for member in value.split(",")]
    known = [m for m in members if m and m[1].lower() in DIGEST_ALGORITHMS]
    if not all(members) or not known:
        names = ", ".join(DIGEST_ALGORITHMS)
        raise ParseError(f"Write {header} as algorithm={form}, with one of: {names}.")
    for member in known:
        algorithm = DIGEST_ALGORITHMS[member[1].lower()]
        yield header, algorithm, _decode(header, algorithm, member[2])


def _decode(header: str, algorithm: str, text: str) -> bytes:
    try:
        digest = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ParseError(f"{header} is not a digest in base64.", code="bad_digest")
    return digest


def _decode_hex(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ParseError(f"{S3_DIGEST} is not a digest in hexadecimal.", code="bad_digest")
    return bytes.fromhex(text)
