"""The secret in a mailed link.

It is made from the row that it stands for by a keyed hash, so that a mail that is sent twice
holds the same link; the row keeps its SHA-256 alone, so that the database opens no account.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any

from django.conf import settings
from django.db.models import Model


def secret_of(row: Model, *, key: str | None = None) -> str:
    message = f"{row._meta.label}:{row.pk}".encode()
    digest = hmac.digest((key or settings.SECRET_KEY).encode(), message, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def mailed_secret(row: Any) -> str:
    """The secret whose hash the row keeps, also when `SECRET_KEY` has changed in between."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hash_of(secret := secret_of(row, key=key)) == row.token_hash:
            return secret
    raise LookupError("The key that this link was made with is no longer in the settings.")
