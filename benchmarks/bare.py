"""A Django project without middleware, whose only view returns a value from the cache.

`benchmarks/catalog.py` compares the catalogue's cached reads with it.
"""

import os

from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="bare",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ["BARE_REDIS_URL"],
        }
    },
)


def view(request: HttpRequest) -> HttpResponse:
    body = cache.get("answer", b"")
    length = {"Content-Length": str(len(body))}
    return HttpResponse(body, content_type="application/json", headers=length)


urlpatterns = [path("answer", view)]
application = get_wsgi_application()
