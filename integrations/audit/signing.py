"""Signatures by a key that is derived from `SECRET_KEY`; those by earlier keys stay valid."""

import json
from typing import Any

from django.core.signing import BadSignature, Signer

_signer = Signer(salt="bureau.audit")


def sign(value: Any) -> str:
    """Return the signature of a value of JSON types."""
    return _signer.signature(_to_text(value))


def is_signed(value: Any, signature: str) -> bool:
    """Return whether the signature is that of the value, by `SECRET_KEY` or a fallback."""
    try:
        _signer.unsign(f"{_to_text(value)}:{signature}")
    except BadSignature:
        return False
    return True


def _to_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
