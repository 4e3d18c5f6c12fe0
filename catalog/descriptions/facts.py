"""What is known of a product, and so what a description may say."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from catalog.descriptions.plain_text import strip_html, to_plain_text
from catalog.models import Product
from common.ai.text.languages import detect_language

MAX_SOURCE_CHARS = 6_000  # of the description, so that every model's context has room for it


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """The facts of a product without markup; `description` is the one that it has.

    The stock is none of them: a description would soon be wrong.
    """

    SOURCE_FIELDS: ClassVar[tuple[str, ...]] = ("name", "category", "sku", "price", "description")

    name: str
    category: str
    sku: str
    price: Decimal
    description: str

    @classmethod
    def of(cls, product: Product) -> Self:
        return cls(
            name=_strip_title(product.name),
            category=_strip_title(product.category),
            sku=_strip_title(product.sku),
            price=product.price,
            description=to_plain_text(product.description),
        )

    @property
    def language(self) -> str:
        """The code of the language of the texts, "" if it is unclear."""
        return detect_language(f"{self.name}\n{self.description}\n{self.category}")

    def to_text(self) -> str:
        """Return a line for each fact, as a model reads them."""
        facts = {
            "Name": self.name,
            "Category": self.category,
            "Article number": self.sku,
            "Price": str(self.price),
            "Description": self.description[:MAX_SOURCE_CHARS],
        }
        return "\n".join(f"{label}: {value}" for label, value in facts.items() if value)


def _strip_title(text: str) -> str:
    """Return a name or number without HTML. Signs like * and # are a part of it, no Markdown."""
    return " ".join(strip_html(text).split())
