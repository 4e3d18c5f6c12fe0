"""The ASGI application that production runs: Django's WSGI application behind an event loop.

The event loop receives the whole body of a request before a thread runs Django, so slow clients
occupy no threads. See docs/adr/0028-bodies-before-threads.md.
"""

import resource

from django.conf import settings

from config.wsgi import application as wsgi_application
from config.wsgi_threads import WsgiThreads

MAX_OPEN_FILES = 8192


def raise_open_files_limit() -> None:
    """Allow this process as many connections as the server accepts; often only 1,024 are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if resource.RLIM_INFINITY != soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


raise_open_files_limit()
application = WsgiThreads(wsgi_application, threads=settings.WEB_THREADS)
