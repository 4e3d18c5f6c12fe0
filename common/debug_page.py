"""The page of an unhandled error in development, without the secrets of the settings.

Django hides settings by their names and shows everything else: URLs with passwords, the local
variables of each frame, the environment.
"""

import re
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, unquote

from django.conf import settings
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

STARS = SafeExceptionReporterFilter.cleansed_substitute
# Shorter secrets are words of other texts; in URLs and under their names they are hidden anyway.
MIN_SECRET_LENGTH = 6
_CREDENTIALS = re.compile(r"(://[^\s:@/]*:)[^\s@/<>]+(?=@)")


class MaskingExceptionReporter(ExceptionReporter):
    """Masks the values in `DEBUG_PAGE_SECRETS` and the passwords of URLs in the finished page."""

    def get_traceback_html(self) -> str:
        return mask(super().get_traceback_html())

    def get_traceback_text(self) -> str:
        return mask(super().get_traceback_text())


def mask(page: str) -> str:
    for form in _secret_forms():
        page = page.replace(form, STARS)
    return _CREDENTIALS.sub(rf"\1{STARS}", page)


def _secret_forms() -> tuple[str, ...]:
    """Return each secret as it may be written in a page, the longest first."""
    forms = {form for secret in settings.DEBUG_PAGE_SECRETS for form in _forms_of(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms_of(secret: str) -> Iterator[str]:
    if len(secret) < MIN_SECRET_LENGTH:
        return
    plain = unquote(secret)
    for form in (secret, plain, quote(plain, safe=""), repr(plain)[1:-1]):
        # Django escapes the page and, in variables, the text of their `repr`.
        yield from (form, escape(form), escape(escape(form)))
