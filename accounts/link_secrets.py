"""The secrets in mailed links.

Mails and help texts call a secret "the code"; the API takes it as `token` or `invitation`.

A secret is a keyed hash of its row's id, so a mail that is sent twice contains the same link. The
row stores only the SHA-256 of the secret, so a copy of the database gives access to no account.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any

from django.conf import settings
from django.db.models import Model


def derive_secret(row: Model, *, key: str | None = None) -> str:
    """Return the secret of a row under `key`, which defaults to `SECRET_KEY`."""
    message = f"{row._meta.label}:{row.pk}".encode()
    digest = hmac.digest((key or settings.SECRET_KEY).encode(), message, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def get_mailed_secret(row: Any) -> str:
    """Return the secret whose hash the row stores, also after a rotation of `SECRET_KEY`."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        secret = derive_secret(row, key=key)
        if hash_secret(secret) == row.token_hash:
            return secret
    raise LookupError("The settings no longer contain the key that this link was made with.")
