"""The mail backend of development: mails become files that only their owner can read."""

import os
from typing import Any

from django.core.mail.backends import filebased


class EmailBackend(filebased.EmailBackend):
    """Mails contain links that give access to an account."""

    file_path: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        os.chmod(self.file_path, 0o700)

    def open(self) -> bool:
        opened = super().open()
        if opened:
            os.chmod(self.stream.fileno(), 0o600)
        return bool(opened)
