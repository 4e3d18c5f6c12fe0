import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.slow_clients import awaited

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = awaited(
    get_wsgi_application(),
    threads=int(os.environ.get("WEB_THREADS") or 4),  # as the Procfile has it
    longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
)
