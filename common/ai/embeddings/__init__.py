"""Embeddings: vectors of texts whose distance is that of their meanings.

They are made by any OpenAI-compatible provider, or without one by an embedded model.
"""

import threading
from functools import cache

import structlog
from django.conf import settings

from common.ai.embeddings.types import EMBEDDED_MODEL, Embedder, TextRefused, Vector
from common.ai.types import ProviderUnavailable

__all__ = [
    "Embedder",
    "ProviderUnavailable",
    "TextRefused",
    "Vector",
    "current_model",
    "embedder",
    "preload_in_background",
    "query_embedder",
]

log = structlog.get_logger(__name__)

# Somebody waits for the answer to a query; without it they get what words find.
QUERY_TIMEOUT_S = 2.0
_lock = threading.Lock()


def current_model() -> str:
    """Return the name of the model of the settings."""
    return settings.EMBEDDING_MODEL or EMBEDDED_MODEL


def embedder(model: str) -> Embedder:
    """Return what makes the embeddings of products by `model`."""
    return _embedded() if model == EMBEDDED_MODEL else _by_provider(model, False)


def query_embedder(model: str) -> Embedder:
    """Return the same for the text of a search, which does not wait long for a provider."""
    return _embedded() if model == EMBEDDED_MODEL else _by_provider(model, True)


def preload_in_background() -> None:
    """Load the embedded model if it is used, without delaying the start of the process."""
    if current_model() == EMBEDDED_MODEL:
        threading.Thread(target=_embedded, daemon=True, name="load-embedder").start()


def _embedded() -> Embedder:
    # Without the lock, each thread that needs the model while it is loaded would load it again.
    with _lock:
        return _load_embedded()


@cache
def _load_embedded() -> Embedder:
    from common.ai.embeddings.embedded import EmbeddedEmbedder

    return EmbeddedEmbedder(settings.VAR_DIR / "models")


@cache
def _by_provider(model: str, is_for_queries: bool) -> Embedder:
    from common.ai.embeddings.provider import ProviderEmbedder
    from common.ai.provider.options import Endpoint

    options = settings.OPENAI
    timeout = min(QUERY_TIMEOUT_S, options["timeout"]) if is_for_queries else options["timeout"]
    return ProviderEmbedder(
        model=model,
        endpoint=Endpoint(options["api_key"], options["base_url"], timeout),
        attempts=1 if is_for_queries else options["attempts"],
        prices=options["prices"],
    )
