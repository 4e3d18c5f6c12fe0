import re
from collections.abc import Mapping
from datetime import UTC, date
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from rest_framework import serializers

from accounts.viewsets import CompanyRelatedField
from common import documents
from common.api.serializers import ListField, ModelSerializer, Serializer
from common.api.validation import together
from common.jobs.models import JobStatus
from notes import services, templates
from notes.batch_status import Standing
from notes.fields import LanguageField, StringFieldsMixin, TextField
from notes.models import LONGEST_SOURCE, LONGEST_TEXT, Batch, Note, Summary, SummaryTemplate
from notes.summary_job import processing_ms

FEWEST_WORDS, MOST_WORDS = 5, 1_000
LARGEST_BATCH = 100
SOURCES = ("text", "note_id", "file")
WISHES = ("template", "language", "max_words")


class NoteSerializer(StringFieldsMixin, ModelSerializer):
    """A note with its summary and the state of that."""

    raw_text = TextField(max_length=LONGEST_TEXT)
    summary = serializers.CharField(source="job.summary", read_only=True)
    status = serializers.ChoiceField(JobStatus.choices, source="job.status", read_only=True)
    attempts = serializers.IntegerField(source="job.attempts", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    model = serializers.CharField(source="job.model", read_only=True)
    omitted = serializers.CharField(source="job.omitted", read_only=True)
    started_at = serializers.DateTimeField(source="job.started_at", read_only=True, allow_null=True)
    finished_at = serializers.DateTimeField(
        source="job.finished_at", read_only=True, allow_null=True
    )
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

    def create(self, validated_data: dict[str, Any]) -> Note:
        return services.create_note(by=self.context["request"].user, **validated_data)

    def update(self, instance: Note, validated_data: dict[str, Any]) -> Note:
        return services.update_note(instance, by=self.context["request"].user, **validated_data)


class TemplateField(serializers.CharField):
    """A template by its name, or a company's own by its id; shown by its name."""

    default_error_messages = {"does_not_exist": "There is no template {name!r}."}

    def run_validation(self, data: Any = serializers.empty) -> templates.Template:  # type: ignore[override]
        name = super().run_validation(data)
        found = templates.find(name, company=self.context["request"].user.company)
        if found is None:
            self.fail("does_not_exist", name=name)
        return found


class WishesMixin(serializers.Serializer):
    """What a summary should be like."""

    template = TemplateField(max_length=60, required=False)
    language = LanguageField(
        required=False,
        help_text="The summary's language, by name or code; the text's own without it.",
    )
    max_words = serializers.IntegerField(
        min_value=FEWEST_WORDS,
        max_value=MOST_WORDS,
        required=False,
        allow_null=True,
        help_text="At most so many words; a third of the text, 20 to 120, without it.",
    )

    def wishes(self, data: Mapping[str, Any]) -> services.Wishes:
        given = {name: data[name] for name in WISHES if name in data}
        return services.Wishes(**given)


class SummarySerializer(WishesMixin, ModelSerializer):
    """A summary: sent with one of `text`, `note_id` and `file`."""

    text = TextField(max_length=LONGEST_SOURCE, required=False, write_only=True)
    note_id = CompanyRelatedField(
        queryset=Note.objects.all(), source="note", required=False, allow_null=True
    )
    file = serializers.FileField(
        required=False, write_only=True, help_text="PDF, DOCX, plain text or Markdown."
    )
    processing_ms = serializers.SerializerMethodField()
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

    def get_processing_ms(self, summary: Summary) -> int | None:
        return processing_ms(summary)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        parse = super().to_internal_value
        attrs, _ = together(lambda: parse(data), lambda: refuse_repeated(data))
        return attrs

    def validate_file(self, file: Any) -> Any:
        try:
            file.kind = documents.sniff(file, file.size)
        except documents.DocumentRefused as error:
            raise serializers.ValidationError(str(error), code=error.code) from None
        return file

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("text", "note", "file") if attrs.get(name) is not None]
        if len(given) != 1:
            message, code = "Give one of text, note_id and file.", "required"
            if given:
                message, code = "Give only one of text, note_id and file.", "exclusive"
            error = serializers.ErrorDetail(message, code)
            names = ["note_id" if name == "note" else name for name in given] or ["text"]
            raise serializers.ValidationError({name: [error] for name in names})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Summary:
        asked: dict[str, Any] = {
            "by": self.context["request"].user,
            "wishes": self.wishes(validated_data),
        }
        if text := validated_data.get("text"):
            return services.summarize_text(text=text, **asked)
        if note := validated_data.get("note"):
            return services.summarize_note(note=note, **asked)
        file = validated_data["file"]
        return services.summarize_file(file=file, kind=file.kind, name=shown_name(file), **asked)


def refuse_repeated(data: Any) -> None:
    """A form may have a source several times: the last would win, and the others be lost unseen."""
    if not isinstance(data, QueryDict):
        return
    counts = {name: len(data.getlist(name)) for name in SOURCES}
    if repeated := {name: count for name, count in counts.items() if count > 1}:
        message = "This came {} times. Send it once; /summaries/batch takes several texts."
        errors = {name: [message.format(count)] for name, count in repeated.items()}
        raise serializers.ValidationError(errors, code="exclusive")


def shown_name(file: Any) -> str:
    """A file's name for people to read; it is never used as a path."""
    return re.sub(r"[^\w .()+,;@&'-]", "_", file.name or "")[:255]


class ItemSerializer(serializers.ModelSerializer):
    """One text of a batch."""

    processing_ms = serializers.SerializerMethodField()

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

    def get_processing_ms(self, summary: Summary) -> int | None:
        return processing_ms(summary)


class CountsSerializer(serializers.Serializer):
    """How many texts stand where; together they are the batch's `total`."""

    queued = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class BatchSerializer(WishesMixin, Serializer):
    """A batch and where its texts stand."""

    id = serializers.UUIDField(read_only=True)
    texts = ListField(
        child=TextField(max_length=LONGEST_SOURCE),
        min_length=1,
        max_length=LARGEST_BATCH,
        write_only=True,
    )
    status = serializers.ChoiceField(JobStatus.choices, source="standing.status", read_only=True)
    total = serializers.IntegerField(source="standing.total", read_only=True)
    counts = CountsSerializer(source="standing.counts", read_only=True)
    progress = serializers.FloatField(source="standing.progress", read_only=True)
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)
    started_at = serializers.DateTimeField(
        source="standing.started_at", read_only=True, allow_null=True
    )
    finished_at = serializers.DateTimeField(
        source="standing.finished_at", read_only=True, allow_null=True
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(source="standing.updated_at", read_only=True)

    def create(self, validated_data: dict[str, Any]) -> Batch:
        return services.summarize_batch(
            by=self.context["request"].user,
            texts=validated_data["texts"],
            wishes=self.wishes(validated_data),
        )

    def to_representation(self, instance: Batch) -> Any:
        instance.standing = Standing.of(instance)  # type: ignore[attr-defined]
        return super().to_representation(instance)


class BatchDetailSerializer(BatchSerializer):
    """A batch with its texts, in the order in which they were sent."""

    items = ItemSerializer(many=True, read_only=True)


class TemplateSerializer(StringFieldsMixin, ModelSerializer):
    """A template. The built-in ones have their name as `id` and can't be changed."""

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
        # The company is not the client's choice; the database's refusal is a 400 that names `name`.
        validators = ()


class DayField(serializers.DateField):
    """A day in UTC, or a time, of which the day counts."""

    def to_internal_value(self, data: Any) -> date:
        if isinstance(data, str) and "T" in data:
            return serializers.DateTimeField(default_timezone=UTC).to_internal_value(data).date()
        return super().to_internal_value(data)


class UsageQuerySerializer(serializers.Serializer):
    """`from` and `to` are days in UTC, both included; the last 30 days without them."""

    model = serializers.CharField(required=False, allow_blank=True, default="")

    def get_fields(self) -> dict[str, serializers.Field]:
        days = {name: DayField(required=False) for name in ("from", "to")}
        return {**days, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = timezone.now().date()
        last = attrs.get("to") or today
        first = attrs.get("from") or date.fromordinal(max(1, last.toordinal() - 29))
        if first > last:
            end = "the last day, `to`" if "to" in attrs else f"today, {today} in UTC"
            raise serializers.ValidationError({"from": [f"This is after {end}."]})
        return {"first": first, "last": last, "model": attrs["model"]}


class UsageTotalsSerializer(serializers.Serializer):
    """Ended summaries, and the calls to the provider that they made.

    Tokens and cost are the provider's figures. For calls whose figures are unknown, because the
    worker died or the answer did not come, `estimated_*` has upper estimates.
    """

    count = serializers.IntegerField()
    failures = serializers.IntegerField()
    reused = serializers.IntegerField()
    calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cost_usd = serializers.DecimalField(max_digits=18, decimal_places=9)
    estimated_calls = serializers.IntegerField()
    estimated_prompt_tokens = serializers.IntegerField()
    estimated_completion_tokens = serializers.IntegerField()
    estimated_cost_usd = serializers.DecimalField(max_digits=18, decimal_places=9)


class UsageSerializer(UsageTotalsSerializer):
    """One model on one day, with the median and 95th percentile of the time of a summary."""

    date = serializers.DateField()
    model = serializers.CharField()
    median_ms = serializers.IntegerField(allow_null=True)
    p95_ms = serializers.IntegerField(allow_null=True)
