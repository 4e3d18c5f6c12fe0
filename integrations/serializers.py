from typing import Any

from rest_framework import serializers

from common.events.models import ActorType
from integrations.representation import events_to_json


class EventListSerializer(serializers.ListSerializer):
    """Reads the rows of all events at once."""

    def to_representation(self, data: Any) -> Any:
        return events_to_json(data, user=self.context["request"].user)


class EventActorSerializer(serializers.Serializer):
    type = serializers.ChoiceField(ActorType.choices)
    id = serializers.UUIDField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]


class EventTargetSerializer(serializers.Serializer):
    type = serializers.CharField()
    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class EventChangeSerializer(serializers.Serializer):
    old = serializers.JSONField(allow_null=True)
    new = serializers.JSONField(allow_null=True)


class EventSerializer(serializers.Serializer):
    """An event, with the row that it tells of as it is now."""

    class Meta:
        list_serializer_class = EventListSerializer

    id = serializers.UUIDField()
    type = serializers.CharField()
    sequence = serializers.IntegerField()
    occurred_at = serializers.DateTimeField()
    actor = EventActorSerializer()
    company_id = serializers.UUIDField(allow_null=True)
    targets = EventTargetSerializer(many=True)
    changes = serializers.DictField(
        child=EventChangeSerializer(),
        help_text="The changed fields. Long values are cut; those that are not shown are null.",
    )
    request_id = serializers.CharField()
    data = serializers.DictField(  # type: ignore[assignment]
        allow_null=True,
        help_text="The row as the API shows it now; null if you can't read it or it is deleted.",
    )
