from typing import Any

import bcrypt
from django.contrib.auth.hashers import Argon2PasswordHasher, BCryptPasswordHasher

BCRYPT_BYTES = 72


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters: Django's own would take 100 MiB for each login."""

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1


class ImportedBcryptHasher(BCryptPasswordHasher):
    """Verifies the hashes of the old services, which are upgraded at the next login.

    Their library looked at the first 72 bytes only, and today's raises for more.
    """

    def encode(self, password: str, salt: Any) -> str:
        hashed = bcrypt.hashpw(password.encode()[:BCRYPT_BYTES], salt)
        return f"{self.algorithm}${hashed.decode('ascii')}"

    def verify(self, password: str, encoded: str) -> bool:
        _, hashed = encoded.split("$", 1)
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], hashed.encode())
