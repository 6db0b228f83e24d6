"""Tensors of a network under our names, read one by one when they are needed: from files, or made from others."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nodegraph.diffusion.weights.copying import parts, put
from nodegraph.diffusion.weights.errors import ChangedFileError, CorruptFileError, MissingFileError
from nodegraph.diffusion.weights.header import TensorInfo
from nodegraph.diffusion.weights.source import CHUNK

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
        **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
    }
)
"""The precisions that weights are stored at, by safetensors' spelling."""

Check = Callable[[int], object]
"""Called with the bytes done since the last call, every few megabytes; what it raises stops the reading."""


class Reader(ABC):
    """Weights that are open for reading."""

    @abstractmethod
    def read(self, name: str) -> Tensor:
        """Return a tensor on the CPU as it is stored: maybe pages of its file, so it is not to be written to."""

    def copy(self, name: str, target: Tensor, check: Check | None = None) -> None:
        """Fill `target`, of any device, precision and order of memory and as many elements, part by part."""
        stored, done = self.read(name).reshape(-1), 0
        for part in parts(target, CHUNK // stored.element_size()):
            source = stored[done : done + part.numel()].view(part.shape)
            put(source, part)
            done += part.numel()
            if check is not None:
                check(source.nbytes)


class Weights(ABC):
    """The tensors of a network; two with one `key` have the same numbers."""

    @property
    @abstractmethod
    def key(self) -> str:
        """What tells these weights from all others, without reading them."""

    @property
    @abstractmethod
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each tensor."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """The files that they are read from."""

    @abstractmethod
    def dtype(self, name: str) -> torch.dtype:
        """Return the precision that a tensor is stored at."""

    def size(self, name: str) -> int:
        """Return the bytes that a tensor is stored in."""
        return prod(self.shapes[name]) * self.dtype(name).itemsize

    @abstractmethod
    def opened(self) -> AbstractContextManager[Reader]:
        """Open for reading; raises a WeightsError where a file is gone, or is no longer the one it was."""


class FileWeights(Weights):
    """Tensors of safetensors files, `tensors` telling where each is.

    The files are remembered as they are now: another file in a place of one of them is not taken for it.
    """

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        self._tensors = dict(tensors)
        self._identities = {file: _identity(file) for file in self.files}

    @cached_property
    def key(self) -> str:
        """The hash of which tensors of which files they are."""
        hashed = hashlib.sha256()
        for name, info in sorted(self._tensors.items()):
            place = name, info.name, info.row, info.transposed, str(info.file), self._identities[info.file]
            hashed.update(repr(place).encode())
        return hashed.hexdigest()

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: info.shape for name, info in self._tensors.items()}

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the tensors."""
        return tuple(sorted({info.file for info in self._tensors.values()}))

    def dtype(self, name: str) -> torch.dtype:
        """Return the precision that a tensor is stored at."""
        return DTYPES[self._tensors[name].dtype]

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Map the files into memory as their tensors are asked for."""
        for file, identity in self._identities.items():
            if _identity(file) != identity:
                raise ChangedFileError(file)
        with ExitStack() as stack:
            yield _FileReader(self._tensors, stack)


class _FileReader(Reader):
    def __init__(self, tensors: Mapping[str, TensorInfo], stack: ExitStack) -> None:
        self._tensors, self._stack = tensors, stack
        self._files: dict[Path, Any] = {}
        self._streams: dict[Path, io.FileIO] = {}

    def read(self, name: str) -> Tensor:
        """Return a tensor that is pages of its file, a copy where it is stored transposed."""
        info = self._tensors[name]
        try:
            if info.file not in self._files:
                self._files[info.file] = self._stack.enter_context(safe_open(info.file, framework="pt"))
            tensor: Tensor = self._files[info.file].get_tensor(info.name)
        except (SafetensorError, OSError) as error:
            raise CorruptFileError(info.file, f"tensor {info.name!r} cannot be read: {error}") from error
        if info.transposed:
            return tensor.T.contiguous()
        return tensor if tuple(tensor.shape) == info.shape else tensor[info.row : info.row + info.shape[0]]

    def copy(self, name: str, target: Tensor, check: Check | None = None) -> None:
        """Fill `target` from the file, not from pages of it, which would count as memory of this process."""
        info = self._tensors[name]
        if info.transposed:
            super().copy(name, target, check)
            return
        stored, buffer = DTYPES[info.dtype], torch.empty(0)
        stream = self._stream(info.file)
        stream.seek(info.offset)
        for part in parts(target, CHUNK // stored.itemsize):
            as_stored = part.dtype == stored and part.device.type == "cpu" and part.is_contiguous()
            if not as_stored and len(buffer) < part.numel():
                buffer = torch.empty(part.numel(), dtype=stored)
            piece = part.view(-1) if as_stored else buffer[: part.numel()]
            if stream.readinto(piece.view(torch.uint8).numpy().data) != piece.nbytes:
                raise CorruptFileError(info.file, f"tensor {info.name!r} cannot be read: the file ends before it does")
            if not as_stored:
                put(piece.view(part.shape), part)
            if check is not None:
                check(piece.nbytes)

    def _stream(self, file: Path) -> io.FileIO:
        if file not in self._streams:
            try:
                self._streams[file] = self._stack.enter_context(io.FileIO(file))
            except OSError as error:
                raise CorruptFileError(file, f"cannot be read: {error.strerror}") from error
        return self._streams[file]


def _identity(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except FileNotFoundError as error:
        raise MissingFileError(file, "no such file") from error
    return status.st_size, status.st_mtime_ns
