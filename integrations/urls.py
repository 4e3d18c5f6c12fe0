from django.urls import path

from integrations.views import EventViewSet

urlpatterns = [
    path("events", EventViewSet.as_view({"get": "list"}, detail=False)),
]
