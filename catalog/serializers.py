from typing import Any

from rest_framework import serializers

from accounts.serializers import CompanySummarySerializer
from catalog import services
from catalog.models import Product
from catalog.public_fields import FIELD_NAMES, product_to_json
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
        for field, value in validated_data.items():
            setattr(instance, field, value)
        by = self.context["request"].user
        services.update_product(instance, fields=validated_data, by=by)
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


def _reload(product: Product) -> Product:
    """Read the row again, so that the response equals that of the next read."""
    return Product.objects.with_public_fields().get(pk=product.pk)
