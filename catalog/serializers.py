from typing import Any

from rest_framework import serializers

from accounts.serializers import CompanySummarySerializer
from catalog import services
from catalog.filters import MAX_PRICE
from catalog.models import Product
from catalog.public_fields import FIELD_NAMES, product_to_json
from common.api.pagination import DEFAULT_PAGE_SIZE, MAX_NUMBER_DIGITS, MAX_PAGE_SIZE
from common.api.serializers import ModelSerializer, Serializer


class ProductSerializer(ModelSerializer):
    """A product as clients write and read it."""

    company = CompanySummarySerializer(read_only=True)

    class Meta:
        model = Product
        fields = FIELD_NAMES
        # A SKU is unique among the live rows of a company, which the client does not name. The
        # database checks that, and its error becomes a 400 that names the field.
        validators = ()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Let a product of release 1.0 without a SKU be sent back as it is."""
        fields = super().get_fields()
        if isinstance(self.instance, Product) and not self.instance.sku:
            fields["sku"].allow_blank = True  # type: ignore[attr-defined]
        return fields

    def create(self, validated_data: dict[str, Any]) -> Product:
        product = Product(**validated_data)
        services.create_product(product, by=self.context["request"].user)
        return _reload(product)

    def update(self, instance: Product, validated_data: dict[str, Any]) -> Product:
        by = self.context["request"].user
        services.update_product(instance, values=validated_data, by=by)
        return _reload(instance)

    def to_representation(self, instance: Product) -> dict[str, Any]:
        return product_to_json(instance)


class DescriptionOptionsSerializer(Serializer):
    """What to do with the description that is generated."""

    save = serializers.BooleanField(  # type: ignore[assignment]
        default=False,
        help_text="Whether to store the description. Otherwise it is a draft, and nothing changes.",
    )


class DescriptionSerializer(serializers.Serializer):
    """A description that was written from the product's own facts."""

    description = serializers.CharField(help_text="The description, in plain text.")
    model = serializers.CharField(
        help_text="The model that wrote it. `bureau-template-1` is a template: there is no AI "
        "provider, or its answers said what is not in the product's data."
    )


class SmartSearchItemSerializer(ProductSerializer):
    """A product as smart search found it."""

    matched_by = serializers.ListField(
        child=serializers.ChoiceField(choices=["words", "meaning"]),
        read_only=True,
        help_text="How the product was found.",
    )
    score = serializers.FloatField(
        read_only=True,
        min_value=0,
        max_value=1,
        help_text="How well it matches the query, from 0 to 1.",
    )

    class Meta(ProductSerializer.Meta):
        fields = (*FIELD_NAMES, "matched_by", "score")


class SmartSearchSerializer(Serializer):
    """The parameters of a smart search in a body."""

    q = serializers.CharField(help_text="The search query.")
    name = serializers.CharField(required=False, allow_null=True, help_text="Part of the name.")
    category = serializers.CharField(
        required=False, allow_null=True, help_text="The exact category."
    )
    min_price = serializers.DecimalField(
        12,
        2,
        min_value=0,
        max_value=MAX_PRICE,
        required=False,
        allow_null=True,
        help_text="The lowest price.",
    )
    max_price = serializers.DecimalField(
        12,
        2,
        min_value=0,
        max_value=MAX_PRICE,
        required=False,
        allow_null=True,
        help_text="The highest price.",
    )
    in_stock_only = serializers.BooleanField(
        required=False, allow_null=True, help_text="Exclude sold out products."
    )
    company = serializers.CharField(required=False, allow_null=True, help_text="A company's code.")
    page = serializers.IntegerField(default=1, min_value=1, help_text="The page number, from 1.")
    page_size = serializers.IntegerField(
        default=DEFAULT_PAGE_SIZE,
        min_value=1,
        help_text=f"Rows per page; a larger number than {MAX_PAGE_SIZE} gives {MAX_PAGE_SIZE}.",
    )

    def validate_page(self, page: int) -> int:
        return min(page, 10**MAX_NUMBER_DIGITS)

    def validate_page_size(self, size: int) -> int:
        return min(size, MAX_PAGE_SIZE)


def _reload(product: Product) -> Product:
    """Read the row again, so that the response equals that of the next read."""
    return Product.objects.with_public_fields().get(pk=product.pk)
