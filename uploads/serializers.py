from collections.abc import Mapping
from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied

from accounts.viewsets import CompanyRelatedField
from common.api.serializers import ModelSerializer, Serializer
from common.normalization import to_nfc
from uploads import services
from uploads.completion import complete_session
from uploads.counters import COUNTER_FIELDS
from uploads.models import (
    CYCLE_STATUSES,
    MAX_BUCKET_CHARS,
    MAX_KEY_CHARS,
    REPORTABLE_STATUSES,
    Cycle,
    Project,
    Session,
    SessionFile,
    SessionStatus,
)
from uploads.serializer_fields import (
    BucketField,
    FolderField,
    GlobsField,
    JsonObjectField,
    KeyField,
    PrefixField,
)
from uploads.transfer.stores import bucket_problem

# Files that are counted after such a report, and sums over sessions, still fit into the columns.
MAX_REPORTED_FILES, MAX_REPORTED_BYTES = 500_000_000, 2**53


class CompanyRowSerializer(ModelSerializer):
    """The base for rows of a company; changes are made by `services`."""

    company_id = serializers.UUIDField(read_only=True)

    def is_changed(self, name: str, attrs: Mapping[str, Any]) -> bool:
        """Whether the field was sent with another value than the row has."""
        return name in attrs and getattr(self.instance, name, None) != attrs[name]

    def new_value(self, name: str, attrs: Mapping[str, Any]) -> Any:
        """Return the value that was sent, else the value of the row."""
        return attrs[name] if name in attrs else getattr(self.instance, name)

    @transaction.atomic
    def save(self, **kwargs: Any) -> Any:
        return super().save(**kwargs)

    @property
    def user(self) -> Any:
        return self.context["request"].user


class ProjectSerializer(CompanyRowSerializer):
    bucket_name = BucketField(max_length=MAX_BUCKET_CHARS)

    class Meta:
        model = Project
        fields = (
            "id",
            "name",
            "bucket_name",
            "aws_region",
            "description",
            "is_active",
            "company_id",
            "created_at",
            "updated_at",
        )
        # The database constraint checks unique names; its error becomes a 400 for the field.
        validators = ()

    def validate_name(self, name: str) -> str:
        return to_nfc(name)

    def validate_bucket_name(self, bucket: str) -> str:
        if self.instance and self.instance.bucket_name == bucket:
            return bucket
        company = self.instance.company if self.instance else self.user.company
        if problem := bucket_problem(company.code, bucket):
            raise serializers.ValidationError(problem)
        return bucket

    def create(self, validated_data: dict[str, Any]) -> Project:
        return services.create_project(by=self.user, company=self.user.company, **validated_data)

    def update(self, instance: Project, validated_data: dict[str, Any]) -> Project:
        return services.update_project(instance, by=self.user, **validated_data)


class ProjectField(CompanyRelatedField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Project.objects.all(), source="project", **kwargs)


class ProjectRowSerializer(CompanyRowSerializer):
    project_id = ProjectField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.is_changed("project", attrs) and not attrs["project"].is_active:
            raise _error("project_id", "This project is not active.", "inactive")
        return attrs


class CycleSerializer(ProjectRowSerializer):
    """A cycle; its `status` is computed from its sessions."""

    volatile_fields = ("status",)

    prefix = PrefixField(required=False, allow_blank=True)
    metadata = JsonObjectField(required=False)
    status = serializers.ChoiceField(CYCLE_STATUSES, read_only=True)

    class Meta:
        model = Cycle
        fields = (
            "id",
            "project_id",
            "name",
            "number",
            "prefix",
            "status",
            "description",
            "metadata",
            "company_id",
            "created_at",
            "updated_at",
        )
        validators = ()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance and self.is_changed("project", attrs):
            raise _error("project_id", "A cycle cannot be moved to another project.", "immutable")
        return super().validate(attrs)

    def create(self, validated_data: dict[str, Any]) -> Cycle:
        return services.create_cycle(by=self.user, **validated_data)

    def update(self, instance: Cycle, validated_data: dict[str, Any]) -> Cycle:
        return services.update_cycle(instance, by=self.user, **validated_data)


# The statuses that a client may set by PUT, and what they do.
SETTABLE_STATUSES = {
    SessionStatus.COMPLETED: complete_session,
    SessionStatus.CANCELLED: services.cancel_session,
}


class SessionSerializer(ProjectRowSerializer):
    """A session; its configuration is writable while it is pending."""

    volatile_fields = ("status", "progress", *COUNTER_FIELDS, "attempts", "error")

    cycle_id = CompanyRelatedField(queryset=Cycle.objects.all(), source="cycle")
    user_id = serializers.UUIDField(read_only=True)
    local_directory = FolderField(
        max_length=MAX_KEY_CHARS,
        required=False,
        allow_blank=True,
        help_text="Relative to the company's source folder, which is `.`. Leave it out if all "
        "files are sent to presigned URLs.",
    )
    prefix = PrefixField(required=False, allow_blank=True)
    status = serializers.ChoiceField(
        SessionStatus.choices,
        required=False,
        help_text="`completed` and `cancelled` end the session, as its routes `complete` and "
        "`cancel` do. In a row that is sent back whole, with its `id`, only `completed` does.",
    )
    include = GlobsField(
        required=False, help_text="Upload only files that match one of these globs; empty: all."
    )
    exclude = GlobsField(required=False, help_text="Leave out files that match one of these globs.")
    progress = serializers.FloatField(read_only=True, min_value=0, max_value=1)

    class Meta:
        model = Session
        configuration: tuple[str, ...] = (
            "project_id",
            "cycle_id",
            "local_directory",
            "prefix",
            "max_workers",
            "times_to_retry",
            "include",
            "exclude",
            "verify",
        )
        fields = (
            "id",
            *configuration,
            "status",
            "progress",
            *COUNTER_FIELDS,
            "attempts",
            "error",
            "user_id",
            "company_id",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        )

    def get_fields(self) -> dict[str, serializers.Field]:
        """Let clients set the status of existing sessions only; a new one is pending."""
        fields: dict[str, serializers.Field] = super().get_fields()
        fields["status"].read_only = self.instance is None
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        project, cycle = (self.new_value(name, attrs) for name in ("project", "cycle"))
        if cycle.project_id != project.pk:
            raise _error("cycle_id", "This cycle belongs to another project.", "other_project")
        return super().validate(attrs)

    def validate_status(self, status: str) -> str:
        """Refuse a status that the server sets by itself."""
        session: Any = self.instance
        # A completed session stays completed, so a row with that status was not read before.
        is_stale = "id" in self.initial_data and status != SessionStatus.COMPLETED
        if is_stale or status == session.status:
            return str(session.status)
        if status not in SETTABLE_STATUSES:
            raise serializers.ValidationError(
                "Only `completed` and `cancelled` can be set, on a session that has not ended.",
                "read_only",
            )
        return status

    def create(self, validated_data: dict[str, Any]) -> Session:
        return services.create_session(by=self.user, **validated_data)

    def update(self, instance: Session, validated_data: dict[str, Any]) -> Session:
        current = instance.status
        status = validated_data.pop("status", current)
        session = services.update_session(instance, by=self.user, **validated_data)
        if status == current:
            return session
        return SETTABLE_STATUSES[status](session, by=self.user)


class SessionReportSerializer(SessionSerializer):
    """The report of a client with the role `worker`: `status` and counters.

    Other fields may be sent with their current values, like read-only fields. If the client has
    sent files to presigned URLs, `completed` counts what the store has instead.
    """

    status = serializers.ChoiceField(SessionStatus.choices, required=False)

    def validate_status(self, status: str) -> str:
        """Ignore a status that the client can't report in a row that is sent back whole."""
        is_stale = "id" in self.initial_data and status not in REPORTABLE_STATUSES
        return self.instance.status if self.instance and is_stale else status

    def get_fields(self) -> dict[str, serializers.Field]:
        counters = {
            name: serializers.IntegerField(
                min_value=0,
                max_value=MAX_REPORTED_BYTES if "bytes" in name else MAX_REPORTED_FILES,
                required=False,
            )
            for name in COUNTER_FIELDS
        }
        fields = {**super().get_fields(), **counters}
        # A report always changes an existing session; the schema is made without one.
        fields["status"].read_only = False
        return fields

    def update(self, instance: Session, validated_data: dict[str, Any]) -> Session:
        reported = {name for name in ("status", *COUNTER_FIELDS) if name in validated_data}
        if any(self.is_changed(name, validated_data) for name in validated_data.keys() - reported):
            raise PermissionDenied("Your role can only change `status` and the counters.")
        fields = {name: validated_data[name] for name in reported}
        is_end = fields.get("status", instance.status) == SessionStatus.COMPLETED
        if is_end and instance.is_filled_by_clients:
            return complete_session(instance, by=self.user)
        return services.report_session(instance, by=self.user, **fields)


class StatisticsSerializer(Serializer):
    total_sessions = serializers.IntegerField()
    active_sessions = serializers.IntegerField()
    completed_sessions = serializers.IntegerField()
    failed_sessions = serializers.IntegerField()
    total_files_uploaded = serializers.IntegerField()
    total_bytes_uploaded = serializers.IntegerField()


class SessionFileSerializer(ModelSerializer):
    class Meta:
        model = SessionFile
        fields = (
            "id",
            "path",
            "key",
            "size",
            "sha256",
            "status",
            "error",
            "attempts",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class StartSerializer(Serializer):
    session_id = serializers.UUIDField()


class StartedSerializer(Serializer):
    job_id = serializers.UUIDField(source="pk")
    session_id = serializers.UUIDField(source="pk")
    status = serializers.ChoiceField(SessionStatus.choices)


class JobSerializer(StartedSerializer):
    """The progress of a session; `result` contains its counters once it has ended."""

    progress = serializers.FloatField(min_value=0, max_value=1)
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()
    result = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    error = serializers.CharField()


class PresignSerializer(StartSerializer):
    file_key = KeyField(
        max_length=MAX_KEY_CHARS,
        help_text="Relative to the session's prefix, such as `day 1/a.csv`.",
    )


class PresignedSerializer(Serializer):
    url = serializers.URLField()
    method = serializers.ChoiceField(["PUT"])
    headers = serializers.DictField(child=serializers.CharField())
    key = serializers.CharField()
    expires_at = serializers.DateTimeField()
    expires_in = serializers.IntegerField(help_text="In seconds.")


def _error(field: str, message: str, code: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: [ErrorDetail(message, code)]})
