from typing import Any

from rest_framework import serializers

from common.api.serializers import ModelSerializer
from common.jobs.models import JobStatus
from notes import services
from notes.models import LONGEST_TEXT, Note


class NoteSerializer(ModelSerializer):
    """A note with its summary and the state of that."""

    raw_text = serializers.CharField(max_length=LONGEST_TEXT, trim_whitespace=False)
    summary = serializers.CharField(source="job.summary", read_only=True)
    status = serializers.ChoiceField(JobStatus.choices, source="job.status", read_only=True)
    attempts = serializers.IntegerField(source="job.attempts", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    model = serializers.CharField(source="job.model", read_only=True)
    omitted = serializers.CharField(source="job.omitted", read_only=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", read_only=True)
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Note
        fields = (
            "id",
            "title",
            "raw_text",
            "summary",
            "status",
            "attempts",
            "error",
            "model",
            "omitted",
            "user_id",
            "company_id",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        )

    def validate_raw_text(self, text: str) -> str:
        if not text.strip():
            raise serializers.ValidationError("This field may not be blank.", code="blank")
        return text

    def create(self, validated_data: dict[str, Any]) -> Note:
        return services.create_note(by=self.context["request"].user, **validated_data)

    def update(self, instance: Note, validated_data: dict[str, Any]) -> Note:
        return services.update_note(instance, by=self.context["request"].user, **validated_data)
