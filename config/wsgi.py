import os

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

from config.slow_clients import Application, limit_waiting_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def create_application() -> Application:
    """Return the WSGI application, or exit if the database does not suit this version."""
    django_application: WSGIHandler = get_wsgi_application()
    from common.migration_checksums import exit_if_incompatible

    exit_if_incompatible()
    return limit_waiting_bodies(
        django_application,
        threads=int(os.environ.get("WEB_THREADS") or 4),  # the Procfile's default
        max_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    )


application = create_application()
