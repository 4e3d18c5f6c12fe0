"""Run `manage.py check --deploy` with production's settings (part of `make lint`)."""

import os
import secrets
import subprocess
import sys

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "FIRST_SUPERUSER_PASSWORD": secrets.token_urlsafe(24),
    "DATABASE_URL": "postgresql://bureau@127.0.0.1:5432/bureau",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "ALLOWED_HOSTS": "bureau.example.com",
    "PUBLIC_URL": "https://bureau.example.com",
}


def main() -> int:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.call(command, env=os.environ | PRODUCTION)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
