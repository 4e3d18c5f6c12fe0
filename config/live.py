"""The live process: it serves the stream of events, and nothing else of the API.

See docs/adr/0045-live-stream.md.
"""

import os

from django.core.wsgi import get_wsgi_application


def create_application() -> object:
    """Return the ASGI application, or exit if the database does not suit this version."""
    # Not `setdefault`: this process has routes of its own.
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_for_live"
    django_application = get_wsgi_application()
    from django.conf import settings

    from common.open_files import raise_open_files_limit
    from common.startup import prepare_database
    from config.live_application import LiveApplication

    prepare_database()
    raise_open_files_limit()
    return LiveApplication(
        django_application,
        max_streams=settings.LIVE_MAX_STREAMS,
        max_per_user=settings.LIVE_MAX_STREAMS_PER_USER,
    )


application = create_application()
