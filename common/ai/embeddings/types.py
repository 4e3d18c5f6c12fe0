"""The interface between Bureau and what makes embeddings."""

from collections.abc import Sequence
from typing import Protocol

from common.ai.types import NO_RECORDER, Recorder

Vector = list[float]
# Google's Universal Sentence Encoder, multilingual, version 3.
EMBEDDED_MODEL = "universal-sentence-encoder-multilingual-3"


class TextRefused(Exception):
    """A final failure because of the texts: the same texts would fail again."""


class Embedder(Protocol):
    """Makes vectors of texts; `model` is the name under which they are stored."""

    model: str

    def embed(self, texts: Sequence[str], *, recorder: Recorder = NO_RECORDER) -> list[Vector]:
        """Return a vector of length 1 for each text, in the order of the texts.

        Raises `TextRefused` and `ProviderUnavailable`.
        """
        ...
