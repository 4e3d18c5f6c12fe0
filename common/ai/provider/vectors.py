"""Parse the embeddings in a provider's answer."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.ai.provider.error_bodies import find_error
from common.ai.provider.responses import ProviderResponse, parse_embedded_error
from common.ai.provider.usage import get_path
from common.ai.text.chunking import estimate_tokens
from common.ai.types import Usage

MAX_DIMENSIONS = 16_000  # what PostgreSQL stores as a vector of half precision

Vector = list[float]


def parse_vectors(
    content: bytes, status: int, headers: Mapping[str, str], body: Mapping[str, Any]
) -> ProviderResponse:
    """Return the response for a 2xx status with any `content`; `body` is what was sent.

    The vectors have the length 1 and the order of the texts.
    """
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        reason = "sent an answer that is not JSON"
        return ProviderResponse("invalid", "retry", status, usage=None, error=reason)
    texts = body["input"]
    usage = _parse_usage(payload, texts)
    if failure := find_error(payload):
        return parse_embedded_error(failure, headers, body, usage)
    response = _parse_data(get_path(payload, "data"), len(texts))
    return replace(response, status=status, usage=usage)


def _parse_data(data: Any, count: int) -> ProviderResponse:
    if not isinstance(data, list) or len(data) != count:
        reason = "sent another number of vectors than texts"
        return ProviderResponse("invalid", "retry", error=reason)
    raw_vectors = [get_path(item, "embedding") for item in _in_order_of_texts(data)]
    vectors = [vector for raw in raw_vectors if (vector := _normalize(raw))]
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1:
        reason = "sent vectors that are not usable: empty, not numbers, or of several lengths"
        return ProviderResponse("invalid", "retry", error=reason)
    return ProviderResponse("ok", "accept", vectors=tuple(vectors))


def _in_order_of_texts(data: list[Any]) -> list[Any]:
    """Return the items by their `index`; servers without one keep the order of the texts."""
    positions = [get_path(item, "index") for item in data]
    if any(type(position) is not int for position in positions):
        return data
    by_position = dict(zip(positions, data, strict=True))
    return [by_position.get(position) for position in range(len(data))]


def _normalize(raw: Any) -> Vector | None:
    """Return the vector with the length 1; None if it is not one."""
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_DIMENSIONS:
        return None
    if any(type(number) not in (int, float) for number in raw):
        return None
    length = _measure(raw)
    if not length or not math.isfinite(length):
        return None
    return [number / length for number in raw]


def _measure(vector: Sequence[float]) -> float:
    try:
        return math.hypot(*vector)
    except OverflowError:  # an integer that no float can hold
        return math.inf


def _parse_usage(payload: Any, texts: Sequence[str]) -> Usage:
    """Return the tokens of the texts; an estimate where the provider does not count them."""
    tokens = get_path(payload, "usage", "prompt_tokens") or get_path(
        payload, "usage", "total_tokens"
    )
    max_tokens = sum(len(text.encode()) + 16 for text in texts)
    if type(tokens) is int and 0 < tokens <= max_tokens:
        return Usage(tokens)
    return Usage(sum(map(estimate_tokens, texts)))
