"""Descriptions of this app's fields in the OpenAPI schema; see `common.api.schema_descriptions`."""

FIELD_DESCRIPTIONS = {
    "Product.name": "The name of the product.",
    "Product.description": "What the product is, for buyers.",
    "price": "The price, as a decimal string.",
    "stock": "How many there are.",
    "category": "The category; may be empty.",
    "sku": "The company's own article number, unique among its products.",
}
