from typing import Any

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from accounts.views import link_pages
from accounts.views.admin_password import AdminPasswordView
from common import health
from common.api.schema import CachedSchemaGenerator
from common.metrics.views import metrics


@csrf_exempt
@require_safe
def index(request: HttpRequest) -> JsonResponse:
    """List the entry points."""
    return JsonResponse(
        {"name": "Bureau", "api": "/api/v1", "docs": "/docs", "redoc": "/redoc", "admin": "/admin/"}
    )


schema = SpectacularJSONAPIView.as_view(generator_class=CachedSchemaGenerator)
# A page has no OPTIONS of its own.
page: dict[str, Any] = {"url_name": "schema", "http_method_names": ["get", "head"]}
swagger = SpectacularSwaggerSplitView.as_view(**page)
redoc = SpectacularRedocView.as_view(**page)

api: list[URLPattern | URLResolver] = [
    path("", index),
    path("health", health.alive),
    path("openapi.json", schema, name="schema"),
    path("docs", swagger),
    path("redoc", redoc),
    # The most requested routes come first.
    path("", include("catalog.urls")),
    path("", include("notes.urls")),
    path("", include("uploads.urls")),
    path("", include("posts.urls")),
    path("", include("accounts.urls")),
    path("", include("integrations.urls")),
]

# Pages that replace those of Django's admin site.
admin_pages = [path("password_change/", admin.site.admin_view(AdminPasswordView.as_view()))]

urlpatterns = [
    path("", index),
    path("api/v1", index),
    path("api/v1/", include(api)),
    path("health", health.alive, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", metrics, name="metrics"),
    path("docs", swagger, name="docs"),
    path("redoc", redoc, name="redoc"),
    path("password/<str:secret>", link_pages.PasswordResetPageView.as_view(), name="password-page"),
    path("email/<str:secret>", link_pages.EmailChangePageView.as_view(), name="email-page"),
    path(
        "invitation/<str:secret>", link_pages.InvitationPageView.as_view(), name="invitation-page"
    ),
    path("admin/", include(admin_pages)),
    path("admin/", admin.site.urls),
]
