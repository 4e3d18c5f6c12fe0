"""Descriptions of products, written from the product's own facts only."""

from catalog.descriptions.facts import ProductFacts
from catalog.descriptions.generator import Description, generate_description

__all__ = ["Description", "ProductFacts", "generate_description"]
