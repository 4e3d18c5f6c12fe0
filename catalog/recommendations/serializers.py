from rest_framework import serializers

from catalog.public_fields import FIELD_NAMES
from catalog.serializers import ProductSerializer
from common.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from common.api.serializers import Serializer


class RecommendationSerializer(ProductSerializer):
    """A recommended product, and why it is recommended."""

    reason = serializers.CharField(
        read_only=True, help_text="Why the product is recommended, in a sentence."
    )

    class Meta(ProductSerializer.Meta):
        fields = (*FIELD_NAMES, "reason")


class RecommendationQuerySerializer(Serializer):
    """What a request for recommendations asks for."""

    limit = serializers.IntegerField(
        min_value=1,
        default=DEFAULT_PAGE_SIZE,
        help_text=f"The most products; a larger number than {MAX_PAGE_SIZE} gives {MAX_PAGE_SIZE}.",
    )
    product_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="Products like this one. Without it: products for you, which needs a sign-in.",
    )

    def validate_limit(self, value: int) -> int:
        return min(value, MAX_PAGE_SIZE)
