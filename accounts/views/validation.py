from typing import Any

from rest_framework.serializers import Serializer


def validate(serializer: Serializer) -> Any:
    """Return the serializer's validated data; raise its errors as a 400."""
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
