"""Textual inversion (Gal et al. 2022): learned vectors that stand in a prompt by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from nodegraph.diffusion.adapters.read import AdapterError
from nodegraph.diffusion.text.learned_words import WordFiles
from nodegraph.diffusion.weights.errors import CorruptFileError, shortened
from nodegraph.diffusion.weights.header import Header, TensorInfo, read_header
from nodegraph.diffusion.weights.store import DTYPES

logger = logging.getLogger(__name__)

Embedding = Mapping[int, Tensor]
"""Vectors (n, D) of one learned word, by the width D of the text encoder that they are for."""

MOST_VECTORS = 1024
LEAST_WIDTH = 8
"""Narrower than any text encoder; such tensors are notes of training."""

_NETWORK = re.compile(r"\.(?:weight|alpha|bias)\Z")


def read_embedding(path: Path) -> Embedding:
    """Read a learned word's vectors, by the width of the text encoder that they are for.

    It is 768 for SD1, 1024 for SD2, and SDXL has one of 768 and one of 1280. Raises a WeightsError for
    what is no safetensors file, AdapterError for one that holds something else.
    """
    chosen = _chosen(read_header(path))
    vectors: dict[int, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for info in chosen:
                tensor = file.get_tensor(info.name)
                vectors[info.shape[-1]] = tensor.reshape(-1, info.shape[-1]).float()
    except (SafetensorError, OSError) as error:
        raise CorruptFileError(path, f"cannot be read: {error}") from error
    return vectors


def _chosen(header: Header) -> list[TensorInfo]:
    """Return the tensors that hold the word's vectors, at most one a width."""
    found: dict[int, list[TensorInfo]] = {}
    for info in header.tensors.values():
        if info.dtype in DTYPES and len(info.shape) in (1, 2) and info.shape[-1] >= LEAST_WIDTH:
            found.setdefault(info.shape[-1], []).append(info)
    alien = any(_NETWORK.search(name) for name in header.tensors)
    if alien or not found or any(_vectors(info) > MOST_VECTORS for infos in found.values() for info in infos):
        names = shortened(list(header.tensors))
        raise AdapterError(header.file, f"no textual inversion: expected a word's vectors, got {names}")
    for width, infos in found.items():
        if len(infos) > 1:
            logger.warning("%s holds %d words of width %d; %r is taken", header.file, len(infos), width, infos[0].name)
    return [infos[0] for infos in found.values()]


def _vectors(info: TensorInfo) -> int:
    return info.shape[0] if len(info.shape) == 2 else 1


class EmbeddingFiles(Mapping[str, Embedding]):
    """Embeddings by the names that prompts may call them by, read when they are asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(paths)
        self._files = WordFiles(paths)
        self._read: dict[str, Embedding] = {}

    def __getitem__(self, name: str) -> Embedding:
        """Read an embedding; raises KeyError for an unknown name, a WeightsError for a file that is none."""
        file = self._files.find(name)
        if file is None:
            raise KeyError(name)
        if file not in self._read:
            self._read[file] = read_embedding(self._paths[file])
        return self._read[file]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a file of that name."""
        return isinstance(name, str) and self._files.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Yield the names without suffixes."""
        return iter(self._files.words)

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self._files.words)
