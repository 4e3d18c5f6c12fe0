from django.urls import path

from integrations.live.views import EventStreamView, EventTicketView
from integrations.views import EventViewSet

urlpatterns = [
    path("events", EventViewSet.as_view({"get": "list"}, detail=False)),
    path("events/stream", EventStreamView.as_view()),
    path("events/tickets", EventTicketView.as_view()),
]
