from typing import Any

from rest_framework import serializers

from common.events.models import Outcome
from integrations.audit.entries import entries_to_json
from integrations.serializers import EventSerializer


class AuditEntryListSerializer(serializers.ListSerializer):
    """Reads the rows, people and hashes of all entries at once."""

    def to_representation(self, data: Any) -> Any:
        return entries_to_json(data, user=self.context["request"].user)


class AuditEntrySerializer(EventSerializer):
    """An event, with its outcome, its client's address and its place in the hash chain."""

    class Meta:
        list_serializer_class = AuditEntryListSerializer

    outcome = serializers.ChoiceField(
        Outcome.choices, help_text="How it ended; `denied`: the actor may not do it."
    )
    ip_address = serializers.CharField(
        allow_null=True, help_text="The client's address; null if it is unknown or was erased."
    )
    details = serializers.DictField(
        child=serializers.CharField(),
        help_text="What else is known, such as the `username` of a failed sign-in, or the "
        "`filters` with which the audit log was read.",
    )
    hash = serializers.CharField(
        allow_null=True,
        help_text="SHA-256 of `previous_hash` and this event; null for the first seconds.",
    )
    previous_hash = serializers.CharField(
        allow_null=True, help_text="The hash of the event before it in the company."
    )
