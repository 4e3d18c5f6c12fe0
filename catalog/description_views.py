"""`POST /products/{id}/generate-description`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.viewsets import ScopedViewSet
from catalog import services
from catalog.descriptions import Description, ProductFacts, generate_description
from catalog.models import Product
from catalog.permissions import ProductPermission
from catalog.serializers import DescriptionOptionsSerializer, DescriptionSerializer
from catalog.views import render
from common import ai
from common.ai.ledger import Purpose, open_ledger
from common.api.exceptions import (
    BadGateway,
    Conflict,
    GatewayTimeout,
    PreconditionFailed,
    ServiceUnavailable,
)
from common.api.idempotency import idempotent_outside_transaction
from common.caching.etags import etag_of, matches
from common.ratelimit.ai_throttle import AiThrottle

# A request occupies a thread of the server (`WEB_THREADS`, by default four) until the AI provider
# answers, so other requests keep the rest.
MAX_OPEN_REQUESTS = 2
DEFAULT_WAIT_S = 10
_slots = threading.BoundedSemaphore(MAX_OPEN_REQUESTS)


class DescriptionViewSet(ScopedViewSet):
    """Descriptions of products, written from their own facts."""

    queryset = Product.objects.with_public_fields()
    serializer_class = DescriptionOptionsSerializer
    permission_classes = (ProductPermission,)
    throttle_classes = (AiThrottle,)
    filter_backends = ()
    supports_if_match = True
    problem_statuses = (502, 504)

    @extend_schema(responses=DescriptionSerializer)
    @idempotent_outside_transaction
    def generate_description(self, request: Request, pk: str) -> Response:
        """Write a description from the product's own facts.

        It names no number and no unit that is not in the product's name, category, SKU, price and
        present description. It is a draft unless `save` is true; then `ETag` is that of the changed
        product. 409 if the product was changed while the description was written.
        """
        product = self.get_object()
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self._check_if_match(product)
        description = describe_product(product, by=request.user)  # type: ignore[arg-type]
        response = Response({"description": description.text, "model": description.model})
        if serializer.validated_data["save"]:
            response["ETag"] = etag_of(render(self._save(product, description)))
        return response

    def _check_if_match(self, product: Product) -> None:
        expected = self.request.headers.get("If-Match")
        if expected and not matches(expected, etag_of(render(product))):
            raise PreconditionFailed

    def _save(self, product: Product, description: Description) -> Product:
        """Store a description; raise if the product was changed after it was read."""
        has_condition = "If-Match" in self.request.headers
        unchanged = (*ProductFacts.SOURCE_FIELDS, *(["updated_at"] if has_condition else []))
        by: Any = self.request.user
        is_saved = services.replace_description(
            product, description.text, unchanged=unchanged, by=by
        )
        current = self.get_queryset().filter(pk=product.pk).first()
        if current is None:
            raise Http404
        if not is_saved and has_condition:
            raise PreconditionFailed
        if not is_saved:
            raise Conflict("The product was changed meanwhile. Generate its description again.")
        return current


def describe_product(product: Product, *, by: User) -> Description:
    """Return a description whose AI calls the product's company pays for.

    Raises `BadGateway`, `ServiceUnavailable` and `GatewayTimeout`.
    """
    recorder = open_ledger(
        purpose=Purpose.DESCRIPTION, company_id=product.company_id, user_id=by.pk
    )
    try:
        with provider_slot() if ai.writer() else nullcontext():
            return generate_description(ProductFacts.of(product), recorder=recorder)
    except ai.SummaryRefused as error:
        raise BadGateway(_to_sentence(error), code="provider_refused") from None
    except ai.ProviderTimeout as error:
        raise GatewayTimeout(_to_sentence(error), code="provider_timeout") from None
    except ai.ProviderUnavailable as error:
        unavailable = ServiceUnavailable(_to_sentence(error), code="provider_unavailable")
        unavailable.wait = error.retry_after or DEFAULT_WAIT_S  # type: ignore[assignment]
        raise unavailable from None


@contextmanager
def provider_slot() -> Iterator[None]:
    if not _slots.acquire(blocking=False):
        raise ServiceUnavailable(
            "Too many descriptions are being written at once. Try again in a few seconds.",
            code="busy",
        )
    try:
        yield
    finally:
        _slots.release()


def _to_sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
