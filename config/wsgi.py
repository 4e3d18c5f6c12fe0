import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.slow_clients import limit_waiting_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = limit_waiting_bodies(
    get_wsgi_application(),
    threads=int(os.environ.get("WEB_THREADS") or 4),  # the Procfile's default
    max_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
)
