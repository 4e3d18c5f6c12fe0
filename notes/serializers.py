from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from accounts.viewsets import CompanyRelatedField
from common import documents
from common.api.serializers import ListField, ModelSerializer, Serializer
from common.api.validation import collect_errors
from common.jobs.status import JobStatus
from common.normalization import to_nfc
from notes import services
from notes.batch_status import BatchStatus
from notes.file_names import clean_file_name
from notes.models import (
    MAX_NOTE_CHARS,
    MAX_SOURCE_CHARS,
    MAX_TEMPLATE_NAME_CHARS,
    Batch,
    Note,
    Summary,
    SummaryTemplate,
)
from notes.private_reuse import as_seen_by
from notes.querysets import MAX_EXCERPT_CHARS
from notes.serializer_fields import (
    LanguageField,
    LoadedTextField,
    StringFieldsMixin,
    TemplateField,
    TextField,
)
from notes.summary_options import SummaryOptions
from notes.summary_templates import DEFAULT_TEMPLATE

MIN_SUMMARY_WORDS, MAX_SUMMARY_WORDS = 5, 1_000
MAX_BATCH_TEXTS = 100
# The fields of which a request contains exactly one, with their names after validation.
SOURCE_FIELDS = {"text": "text", "note_id": "note", "file": "file"}


class NoteSerializer(StringFieldsMixin, ModelSerializer):
    """A note with its own summary and the state of that summary's job."""

    volatile_fields = (
        "excerpt",
        "text_length",
        "summary",
        "status",
        "attempts",
        "error",
        "model",
        "omitted",
    )

    raw_text = TextField(max_length=MAX_NOTE_CHARS)
    excerpt = serializers.CharField(
        read_only=True, help_text=f"The first {MAX_EXCERPT_CHARS} characters of `raw_text`."
    )
    text_length = serializers.IntegerField(
        source="own_summary.text_length", read_only=True, help_text="Characters of `raw_text`."
    )
    summary = serializers.CharField(source="own_summary.summary", read_only=True)
    status = serializers.ChoiceField(JobStatus.choices, source="own_summary.status", read_only=True)
    attempts = serializers.IntegerField(source="own_summary.attempts", read_only=True)
    error = serializers.CharField(source="own_summary.error", read_only=True)
    model = serializers.CharField(source="own_summary.model", read_only=True)
    omitted = serializers.CharField(source="own_summary.omitted", read_only=True)
    started_at = serializers.DateTimeField(
        source="own_summary.started_at", read_only=True, allow_null=True
    )
    finished_at = serializers.DateTimeField(
        source="own_summary.finished_at", read_only=True, allow_null=True
    )
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Note
        fields = (
            "id",
            "title",
            "raw_text",
            "excerpt",
            "text_length",
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

    def create(self, validated_data: dict[str, Any]) -> Note:
        return services.create_note(by=self.context["request"].user, **validated_data)

    def update(self, instance: Note, validated_data: dict[str, Any]) -> Note:
        return services.update_note(instance, by=self.context["request"].user, **validated_data)


class NoteListSerializer(NoteSerializer):
    """A note in a list: `raw_text` is there only if `fields` names it."""

    optional_in_responses = ("raw_text",)

    raw_text = LoadedTextField(required=False)


class SummaryOptionsMixin(serializers.Serializer):
    """The options of a summary."""

    template = TemplateField(max_length=MAX_TEMPLATE_NAME_CHARS, required=False)
    language = LanguageField(
        required=False,
        help_text="The summary's language, by name or code. Default: the language of the text.",
    )
    max_words = serializers.IntegerField(
        min_value=MIN_SUMMARY_WORDS,
        max_value=MAX_SUMMARY_WORDS,
        required=False,
        allow_null=True,
        help_text="The largest number of words. Default: a third of the text's, from 20 to 120.",
    )

    def build_options(self, data: Mapping[str, Any]) -> SummaryOptions:
        return SummaryOptions(
            template=data.get("template", DEFAULT_TEMPLATE),
            language=data.get("language", ""),
            max_words=data.get("max_words"),
        )


class PrivateReuseMixin(serializers.BaseSerializer):
    """Shows a summary's reuse only to a user who can see the rows that had it."""

    def to_representation(self, instance: Summary) -> Any:
        viewer = self.context["request"].user
        return super().to_representation(as_seen_by(instance, viewer))


class SummarySerializer(PrivateReuseMixin, SummaryOptionsMixin, ModelSerializer):
    """A summary. A request contains exactly one of `text`, `note_id` and `file`."""

    text = TextField(max_length=MAX_SOURCE_CHARS, required=False, write_only=True)
    note_id = CompanyRelatedField(
        queryset=Note.objects.all(), source="note", required=False, allow_null=True
    )
    file = serializers.FileField(
        required=False, write_only=True, help_text="PDF, DOCX, plain text or Markdown."
    )
    processing_ms = serializers.IntegerField(read_only=True, allow_null=True)
    batch_id = serializers.UUIDField(read_only=True, allow_null=True)
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Summary
        fields = (
            "id",
            "text",
            "note_id",
            "file",
            "file_name",
            "batch_id",
            "template",
            "language",
            "max_words",
            "text_length",
            "summary",
            "omitted",
            "status",
            "progress",
            "attempts",
            "error",
            "model",
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "reasoning_tokens",
            "cost_usd",
            "cached",
            "processing_ms",
            "user_id",
            "company_id",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("file_name",)
        validators = ()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        parse = super().to_internal_value
        attrs, _ = collect_errors(lambda: parse(data), lambda: reject_repeated_sources(data))
        return attrs

    def validate_file(self, file: Any) -> Any:
        try:
            file.file_type = documents.sniff(file, file.size)
        except documents.DocumentRefused as error:
            raise serializers.ValidationError(str(error), code=error.code) from None
        return file

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        sources = [field for field, name in SOURCE_FIELDS.items() if attrs.get(name) is not None]
        if len(sources) != 1:
            message = "Send exactly one of `text`, `note_id` and `file`."
            error = serializers.ErrorDetail(message, "exclusive" if sources else "required")
            raise serializers.ValidationError({field: [error] for field in sources or ["text"]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Summary:
        user = self.context["request"].user
        options = self.build_options(validated_data)
        if text := validated_data.get("text"):
            return services.create_summary_from_text(by=user, text=text, options=options)
        if note := validated_data.get("note"):
            return services.create_summary_from_note(by=user, note=note, options=options)
        file = validated_data["file"]
        return services.create_summary_from_file(
            by=user,
            file=file,
            file_type=file.file_type,
            file_name=clean_file_name(file.name or ""),
            options=options,
        )


def reject_repeated_sources(data: Any) -> None:
    """Reject a form with several values for one source, of which DRF would use only the last."""
    if not isinstance(data, QueryDict):
        return
    counts = {name: len(data.getlist(name)) for name in SOURCE_FIELDS}
    if repeated := {name: count for name, count in counts.items() if count > 1}:
        message = (
            "This field was sent {} times. Send it once, or several texts to /summaries/batch."
        )
        errors = {name: [message.format(count)] for name, count in repeated.items()}
        raise serializers.ValidationError(errors, code="exclusive")


class ItemSerializer(PrivateReuseMixin, serializers.ModelSerializer):
    """One text of a batch."""

    processing_ms = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = Summary
        fields = (
            "id",
            "index",
            "status",
            "summary",
            "omitted",
            "error",
            "attempts",
            "text_length",
            "model",
            "cached",
            "prompt_tokens",
            "completion_tokens",
            "cost_usd",
            "processing_ms",
            "started_at",
            "finished_at",
        )


class CountsSerializer(serializers.Serializer):
    """The number of texts in each state. They add up to the batch's `total`."""

    queued = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class BatchSerializer(SummaryOptionsMixin, Serializer):
    """A batch with the number of its texts in each state."""

    id = serializers.UUIDField(read_only=True)
    texts = ListField(
        child=TextField(max_length=MAX_SOURCE_CHARS),
        min_length=1,
        max_length=MAX_BATCH_TEXTS,
        write_only=True,
    )
    status = serializers.ChoiceField(
        JobStatus.choices, source="batch_status.status", read_only=True
    )
    total = serializers.IntegerField(source="batch_status.total", read_only=True)
    counts = CountsSerializer(source="batch_status.counts", read_only=True)
    progress = serializers.FloatField(source="batch_status.progress", read_only=True)
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)
    started_at = serializers.DateTimeField(
        source="batch_status.started_at", read_only=True, allow_null=True
    )
    finished_at = serializers.DateTimeField(
        source="batch_status.finished_at", read_only=True, allow_null=True
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(source="batch_status.updated_at", read_only=True)

    def create(self, validated_data: dict[str, Any]) -> Batch:
        return services.create_batch(
            by=self.context["request"].user,
            texts=validated_data["texts"],
            options=self.build_options(validated_data),
        )

    def to_representation(self, instance: Batch) -> Any:
        instance.batch_status = BatchStatus.of(instance)  # type: ignore[attr-defined]
        return super().to_representation(instance)


class BatchDetailSerializer(BatchSerializer):
    """A batch with its texts, in the order in which they were sent."""

    items = ItemSerializer(many=True, read_only=True)


class TemplateSerializer(StringFieldsMixin, ModelSerializer):
    """A template. The `id` of a built-in one is its name, and it can't be changed."""

    id = serializers.CharField(read_only=True)
    built_in = serializers.BooleanField(read_only=True)
    company_id = serializers.UUIDField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True, allow_null=True)
    updated_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = SummaryTemplate
        fields = (
            "id",
            "name",
            "description",
            "instructions",
            "built_in",
            "company_id",
            "created_at",
            "updated_at",
        )
        # The serializer has no company to check uniqueness with. The database constraint does it,
        # and `common.api.db_errors` turns its error into a 400 for `name`.
        validators = ()

    def validate_name(self, name: str) -> str:
        return to_nfc(name)

    def create(self, validated_data: dict[str, Any]) -> SummaryTemplate:
        return services.create_template(by=self.context["request"].user, **validated_data)

    def update(self, instance: SummaryTemplate, validated_data: dict[str, Any]) -> SummaryTemplate:
        user = self.context["request"].user
        return services.update_template(instance, by=user, **validated_data)
