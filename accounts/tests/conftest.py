from collections.abc import Iterator

import pytest

from accounts.tests.smtp_server import SmtpServer


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    with SmtpServer().serving() as server:
        yield server
