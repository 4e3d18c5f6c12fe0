from common.documents.types import DocumentRefused, Limits


def limits() -> Limits:
    """The limits that the settings give."""
    from django.conf import settings  # 80 ms that the child, which is handed them, need not wait

    return Limits(**settings.DOCUMENTS)


def too_long(limits: Limits) -> DocumentRefused:
    return DocumentRefused(
        f"It holds more than {limits.max_characters:,} characters of text.", "too_long"
    )
