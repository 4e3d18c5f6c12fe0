from typing import Any

import bcrypt
from django.contrib.auth.hashers import Argon2PasswordHasher, BCryptPasswordHasher

from accounts.hashing_slot import hashing_slot

MAX_BCRYPT_BYTES = 72


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters; Django's defaults use 100 MiB per login."""

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with hashing_slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with hashing_slot():
            return super().verify(password, encoded)


class ImportedBcryptHasher(BCryptPasswordHasher):
    """Hasher for the bcrypt hashes of the services that Bureau replaces.

    Django upgrades such a hash to Argon2 at the next login. Those services ignored all but
    the first 72 bytes of a password; the current library raises an error for a longer one.
    """

    def encode(self, password: str, salt: Any) -> str:
        with hashing_slot():
            hashed = bcrypt.hashpw(password.encode()[:MAX_BCRYPT_BYTES], salt)
        return f"{self.algorithm}${hashed.decode('ascii')}"

    def verify(self, password: str, encoded: str) -> bool:
        _, hashed = encoded.split("$", 1)
        with hashing_slot():
            return bcrypt.checkpw(password.encode()[:MAX_BCRYPT_BYTES], hashed.encode())
