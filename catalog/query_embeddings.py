"""The vector of a search query, with little patience for a provider that does not answer."""

import time
from array import array
from functools import lru_cache

import structlog

from common.ai import embeddings
from common.ai.embeddings import ProviderUnavailable, TextRefused
from common.ai.ledger import Purpose, open_ledger

log = structlog.get_logger(__name__)

MAX_QUERY_CHARS = 500
MAX_REMEMBERED_QUERIES = 500
# After a failure the provider is not asked for this time, so that not every search waits for it.
PAUSE_S = 10.0
_paused_until = 0.0


def embed_query(text: str, *, model: str) -> array | None:
    """Return the vector of a query, or None if the provider does not send it in time."""
    global _paused_until
    if time.monotonic() < _paused_until:
        return None
    try:
        return _embed(text[:MAX_QUERY_CHARS], model)
    except TextRefused:
        return None
    except ProviderUnavailable as error:
        _paused_until = time.monotonic() + PAUSE_S
        log.warning("query_not_embedded", model=model, error=str(error))
        return None


def resume() -> None:
    """Ask the provider again with the next query, and forget the vectors of earlier ones."""
    global _paused_until
    _paused_until = 0.0
    _embed.cache_clear()


@lru_cache(maxsize=MAX_REMEMBERED_QUERIES)
def _embed(text: str, model: str) -> array:
    recorder = open_ledger(purpose=Purpose.EMBEDDING, company_id=None)
    [vector] = embeddings.query_embedder(model).embed([text], recorder=recorder)
    return array("f", vector)
