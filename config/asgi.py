"""The ASGI application that production runs: Django's WSGI application behind an event loop.

The event loop receives the whole body of a request before a thread runs Django, so slow clients
occupy no threads. See docs/adr/0028-bodies-before-threads.md.
"""

from django.conf import settings

from common.open_files import raise_open_files_limit
from config.wsgi import application as wsgi_application
from config.wsgi_threads import WsgiThreads

raise_open_files_limit()
application = WsgiThreads(wsgi_application, threads=settings.WEB_THREADS)
