"""Descriptions of this app's fields in the OpenAPI schema; see `common.api.schema_descriptions`."""

FIELD_DESCRIPTIONS = {
    "Product.name": "The name of the product.",
    "Product.description": "What the product is, for buyers.",
    "price": "The price, as a decimal string.",
    "stock": "How many there are.",
    "category": "The category; may be empty.",
    "mode": "Which products the import may write.",
    "ProductImport.file_name": "The name of the file that was sent.",
    "file_bytes": "The size of the file in bytes.",
    "file_type": "How the file was read: `csv` or `xlsx`.",
    "total_rows": "The rows of the file that are read so far; blank ones are not counted.",
    "created": "New products.",
    "updated": "Products that have changed.",
    "unchanged": "Rows that equal their product.",
    "ProductImport.failed": "Rows with an error.",
    "sku": "The company's own article number, unique among its products.",
}
