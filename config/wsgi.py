"""Django's WSGI application; `config.asgi` runs it in threads."""

import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def create_application() -> WSGIHandler:
    """Return the WSGI application, or exit if the database does not suit this version."""
    application = get_wsgi_application()
    from common.ai.embeddings import preload_in_background
    from common.startup import prepare_database

    prepare_database()
    preload_in_background()
    return application


application = create_application()
