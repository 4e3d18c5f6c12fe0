from typing import Any

from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers

from catalog.import_models import COUNTERS, ProductImport
from catalog.imports import services
from catalog.imports.errors import FileRefused
from catalog.imports.uploaded_file import detect_format
from common.api.exceptions import RequestTooLarge
from common.api.serializers import ModelSerializer
from common.api.validation import collect_errors


def reject_repeated_fields(data: Any) -> None:
    """Reject a form with several values for one field, of which only the last would be used."""
    if isinstance(data, QueryDict):
        repeated = [name for name, values in data.lists() if len(values) > 1]
        error = serializers.ErrorDetail("Send this field once.", "repeated_field")
        if repeated:
            raise serializers.ValidationError({name: [error] for name in repeated})


class ImportErrorSerializer(serializers.Serializer):
    """What is wrong with a cell of the file."""

    line = serializers.IntegerField(help_text="The line of the file on which the row begins.")
    column = serializers.CharField(help_text="The title of the column in the file.")
    code = serializers.CharField(help_text="The kind of error, as in other answers of the API.")
    value = serializers.CharField(help_text="The value, shortened to 100 characters.")
    message = serializers.CharField(help_text="What is wrong, in a sentence.")


class ProductImportListSerializer(ModelSerializer):
    """An import with its counts, without its errors."""

    columns = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="The fields that are imported."
    )
    ignored_columns = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="The titles of columns that are not imported.",
    )
    progress = serializers.FloatField(read_only=True, help_text="The share of rows done, 0 to 1.")
    user_id = serializers.UUIDField(read_only=True)
    company_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = ProductImport
        fields = (
            "id",
            "status",
            "mode",
            "dry_run",
            "file_name",
            "file_type",
            "file_bytes",
            "columns",
            "ignored_columns",
            "total_rows",
            *COUNTERS,
            "progress",
            "attempts",
            "error",
            "user_id",
            "company_id",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("status", "attempts", "error", "started_at", "finished_at")


class ProductImportSerializer(ProductImportListSerializer):
    """An import with its counts and its first errors. A request has a file and options."""

    file = serializers.FileField(
        write_only=True,
        help_text="CSV or XLSX; its first row has the names of the columns.",
    )
    mode = serializers.ChoiceField(
        ProductImport.Mode.choices,
        default=ProductImport.Mode.UPSERT,
        help_text="`upsert`: create and update; `create`: an existing SKU is an error; `update`: "
        "an unknown SKU is an error.",
    )
    dry_run = serializers.BooleanField(
        default=False,
        help_text="Only count and list errors; `POST …/confirm` then does the import.",
    )
    ignore_unknown_columns = serializers.BooleanField(
        default=False,
        write_only=True,
        help_text="Leave out columns that are unknown; otherwise they are an error.",
    )
    errors = ImportErrorSerializer(  # type: ignore[assignment]
        many=True, read_only=True, help_text="The first 100 errors."
    )

    class Meta(ProductImportListSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *ProductImportListSerializer.Meta.fields,
            "errors",
            "file",
            "ignore_unknown_columns",
        )

    def to_internal_value(self, data: Any) -> Any:
        parse = super().to_internal_value
        attrs, _ = collect_errors(lambda: parse(data), lambda: reject_repeated_fields(data))
        return attrs

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        file = attrs["file"]
        if file.size > settings.IMPORT_MAX_BYTES:
            raise RequestTooLarge(f"The file is larger than {settings.IMPORT_MAX_BYTES:,} bytes.")
        try:
            attrs["file_format"] = detect_format(
                file, mode=attrs["mode"], ignore_unknown=attrs.pop("ignore_unknown_columns")
            )
        except FileRefused as error:
            details = [serializers.ErrorDetail(message, code) for code, message in error.errors]
            raise serializers.ValidationError({"file": details}) from None
        return attrs

    def create(self, validated_data: dict[str, Any]) -> ProductImport:
        file = validated_data.pop("file")
        return services.create_import(
            by=self.context["request"].user,
            file=file,
            file_name=file.name or "",
            file_bytes=file.size,
            **validated_data,
        )
