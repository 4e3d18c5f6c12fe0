"""The query and the rows of `/summaries/usage`."""

from datetime import UTC, date
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from common.ai.ledger import Purpose

DEFAULT_DAYS = 30


class DayField(serializers.DateField):
    """A day in UTC; of a time, only the day counts."""

    def to_internal_value(self, data: Any) -> date:
        if isinstance(data, str) and "T" in data:
            return serializers.DateTimeField(default_timezone=UTC).to_internal_value(data).date()
        return super().to_internal_value(data)


class UsageQuerySerializer(serializers.Serializer):
    """`from` and `to` are days in UTC, both inclusive. Default: the last 30 days."""

    model = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="Only this model."
    )
    purpose = serializers.ChoiceField(
        Purpose.choices,
        required=False,
        allow_blank=True,
        default="",
        help_text="Only calls for this purpose. By default, calls for all purposes.",
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        texts = {"from": "The first day, in UTC.", "to": "The last day, in UTC."}
        days = {name: DayField(required=False, help_text=text) for name, text in texts.items()}
        return {**days, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = timezone.now().date()
        last = attrs.get("to") or today
        first = attrs.get("from") or date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
        if first > last:
            end = "the last day, `to`" if "to" in attrs else f"today, {today} in UTC"
            raise serializers.ValidationError({"from": [f"This must not be after {end}."]})
        return {"first": first, "last": last, "model": attrs["model"], "purpose": attrs["purpose"]}


class UsageTotalsSerializer(serializers.Serializer):
    """The numbers of ended summaries and of calls to the provider, and the usage of the calls."""

    count = serializers.IntegerField()
    failures = serializers.IntegerField()
    reused = serializers.IntegerField()
    calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cost_usd = serializers.DecimalField(
        max_digits=18,
        decimal_places=9,
        allow_null=True,
        help_text="The cost of all calls of models with a price; null if there are only others.",
    )
    estimated_calls = serializers.IntegerField()
    estimated_prompt_tokens = serializers.IntegerField()
    estimated_completion_tokens = serializers.IntegerField()
    estimated_cost_usd = serializers.DecimalField(max_digits=18, decimal_places=9)


class UsageSerializer(UsageTotalsSerializer):
    """The usage of one model on one day, with the median and 95th percentile of durations."""

    date = serializers.DateField()
    model = serializers.CharField()
    median_ms = serializers.IntegerField(allow_null=True)
    p95_ms = serializers.IntegerField(allow_null=True)
