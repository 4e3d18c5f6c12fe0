"""Helpers that several test modules use."""

from collections.abc import Iterator
from typing import Any

from django.core import mail as outbox
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Mail, PasswordReset
from common.jobs import runner


def run_due_jobs() -> list[Any]:
    """Run the queued jobs as a worker does, and return all sent mails."""
    for reset in PasswordReset.objects.due():
        runner.run(PasswordReset, reset.pk)
    for mail in Mail.objects.due():
        runner.run(Mail, mail.pk)
    return outbox.outbox


def iter_routes(
    resolver: URLResolver | None = None, prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Yield the path and the view of each route, without those of the admin site."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + str(entry.pattern).removeprefix("^").removesuffix("$")
        if isinstance(entry, URLResolver):
            if path != "admin/":
                yield from iter_routes(entry, path)
        else:
            assert isinstance(entry, URLPattern)
            yield path, entry.callback
