"""The job that embeds products, with a local provider."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.models import Company
from catalog import embedding_job
from catalog.embeddings import find_serving_model, nearest_products
from catalog.models import EmbeddingModel, Product, ProductEmbedding
from catalog.similarity_scale import TEXTS
from catalog.tests.factories import ProductFactory
from common.ai.ledger import Purpose
from common.jobs import runner
from notes.models import ProviderCall

pytestmark = pytest.mark.django_db


class LocalProvider:
    """A server whose vectors are made from the letters of a text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refused = ""
        self.status = 200
        self.dimensions = 26

    def respond(self, request: Request) -> Response:
        texts = json.loads(request.data)["input"]
        if self.status != 200:
            return Response(status=self.status)
        if self.refused and any(self.refused in text for text in texts):
            return Response(json.dumps({"error": {"message": "invalid input"}}), status=400)
        self.texts += [text for text in texts if text not in TEXTS]
        data = [{"index": i, "embedding": self.embed(text)} for i, text in enumerate(texts)]
        return Response(json.dumps({"data": data}), content_type="application/json")

    def embed(self, text: str) -> list[float]:
        letters = "abcdefghijklmnopqrstuvwxyz"[: self.dimensions]
        return [1 + text.lower().count(letter) for letter in letters]


@pytest.fixture
def provider(httpserver: HTTPServer, settings: Any) -> Iterator[LocalProvider]:
    provider = LocalProvider()
    httpserver.expect_request("/v1/embeddings").respond_with_handler(provider.respond)
    settings.EMBEDDING_MODEL = "letters"
    settings.OPENAI = settings.OPENAI | {
        "api_key": "k",
        "base_url": httpserver.url_for("/v1"),
        "attempts": 1,
    }
    return provider


@pytest.fixture
def embed() -> Callable[[], EmbeddingModel]:
    """Request the job, and run it if it is queued."""

    def run_job() -> EmbeddingModel:
        embedding_job.request_embeddings()
        model = EmbeddingModel.objects.get(name=embedding_job.embeddings.current_model())
        runner.run(EmbeddingModel, model.pk)
        model.refresh_from_db()
        return model

    return run_job


def test_products_get_a_vector_each_and_the_calls_are_in_the_ledger(
    provider: LocalProvider, embed: Any, company: Company
) -> None:
    lamp = ProductFactory(company=company, name="Lamp", category="Light", description="Warm white")
    model = embed()
    assert (model.status, model.dimensions) == ("completed", 26)
    assert model.completed_at is not None
    assert provider.texts == ["Lamp. Light. Warm white"]
    stored = ProductEmbedding.objects.get(product=lamp)
    assert (stored.company, stored.model, stored.dimensions) == (company, "letters", 26)
    calls = ProviderCall.objects.filter(purpose=Purpose.EMBEDDING).order_by("created_at")
    assert [call.company for call in calls] == [None, company]
    assert [call.outcome for call in calls] == ["ok", "ok"]


def test_unchanged_and_equal_texts_are_not_paid_for_again(
    provider: LocalProvider, embed: Any
) -> None:
    first, second = ProductFactory(name="Lamp"), ProductFactory(name="Lamp")
    embed()
    assert provider.texts == ["Lamp. Things"]
    Product.objects.filter(pk=first.pk).update(stock=1, updated_at=embedding_job.timezone.now())
    third = ProductFactory(name="Lamp")
    embed()
    assert provider.texts == ["Lamp. Things"]
    owners = ProductEmbedding.objects.values_list("product_id", flat=True)
    assert set(owners) == {first.pk, second.pk, third.pk}


def test_a_changed_text_gets_a_new_vector(provider: LocalProvider, embed: Any) -> None:
    product = ProductFactory(name="Lamp")
    embed()
    before = ProductEmbedding.objects.get()
    product.name = "Desk"
    product.save()
    embed()
    after = ProductEmbedding.objects.get()
    assert provider.texts == ["Lamp. Things", "Desk. Things"]
    assert (after.pk, after.vector == before.vector) == (before.pk, False)


def test_a_refused_text_does_not_stop_the_others(provider: LocalProvider, embed: Any) -> None:
    bad, good = ProductFactory(name="Gun"), ProductFactory(name="Lamp")
    provider.refused = "Gun"
    assert embed().status == "completed"
    vectors = dict(ProductEmbedding.objects.values_list("product_id", "vector"))
    assert vectors[bad.pk] is None
    assert vectors[good.pk]
    assert nearest_products(good, limit=5) == []


def test_a_text_that_is_too_long_is_embedded_by_its_beginning(
    provider: LocalProvider, embed: Any
) -> None:
    ProductFactory(name="Lamp " * 39, category="", description="END " * 25)
    provider.refused = "END"
    embed()
    assert provider.texts == [("Lamp " * 39)[:148]]


def test_an_unavailable_provider_is_asked_again_later(provider: LocalProvider, embed: Any) -> None:
    ProductFactory()
    provider.status = 503
    model = embed()
    assert (model.status, model.error) == ("queued", "the provider answered 503")
    assert not ProductEmbedding.objects.exists()


def test_vectors_of_another_length_are_refused(provider: LocalProvider, embed: Any) -> None:
    ProductFactory()
    embed()
    provider.dimensions = 20
    ProductFactory(name="Another")
    model = embed()
    assert (model.status, model.error) == (
        "queued",
        "The model sent a vector of 20 dimensions, before that of 26.",
    )


def test_the_old_model_is_used_until_the_new_one_is_complete(
    provider: LocalProvider, embed: Any, settings: Any
) -> None:
    ProductFactory(name="Lamp")
    embed()
    settings.EMBEDDING_MODEL = "other"
    provider.status = 503
    embed()
    assert find_serving_model().name == "letters"
    assert set(ProductEmbedding.objects.values_list("model", flat=True)) == {"letters"}
    provider.status, provider.dimensions = 200, 20
    EmbeddingModel.objects.update(run_after=embedding_job.timezone.now())
    embed()
    assert find_serving_model().name == "other"
    assert set(ProductEmbedding.objects.values_list("model", "dimensions")) == {("other", 20)}
    assert EmbeddingModel.objects.count() == 1


def test_nothing_is_queued_while_nothing_has_changed(provider: LocalProvider, embed: Any) -> None:
    ProductFactory()
    embed()
    EmbeddingModel.objects.update(read_until=embedding_job.timezone.now())
    embedding_job.request_embeddings()
    assert EmbeddingModel.objects.get().status == "completed"


def test_a_run_ends_in_time_and_continues_where_it_ended(
    provider: LocalProvider, embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_job, "MAX_RUN_S", 0)
    monkeypatch.setattr(embedding_job, "READ_BATCH_SIZE", 2)
    ProductFactory.create_batch(3)
    Product.objects.update(updated_at=embedding_job.timezone.now())
    assert [embed().status, ProductEmbedding.objects.count()] == ["queued", 2]
    assert [embed().status, ProductEmbedding.objects.count()] == ["completed", 3]
    assert len(provider.texts) == 3
