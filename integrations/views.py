from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins

from accounts.viewsets import ScopedViewSet
from common.events.models import Event
from integrations.filters import EventFilter
from integrations.pagination import EventPagination
from integrations.serializers import EventSerializer


class EventViewSet(mixins.ListModelMixin, ScopedViewSet):
    """What has changed: the events that the caller may see, oldest first.

    An event tells of one row. Read on with the `next` of the last answer as `since`: no event is
    left out, none comes twice.
    """

    queryset = Event.objects.all()
    serializer_class = EventSerializer
    pagination_class = EventPagination
    filter_backends = (DjangoFilterBackend,)
    filterset_class = EventFilter
    problem_statuses = (410,)
