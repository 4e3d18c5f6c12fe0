"""The routes of the live process."""

from django.urls import path

from common import health
from integrations.live.views import EventStreamView

urlpatterns = [
    path("api/v1/events/stream", EventStreamView.as_view()),
    path("api/v1/health", health.alive),
    path("health", health.alive),
]
