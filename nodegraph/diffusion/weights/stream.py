"""Write safetensors files tensor by tensor: what is written last need not be there when the first is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import uuid4

import torch
from torch import Tensor

from nodegraph.diffusion.weights.header import MAX_HEADER
from nodegraph.diffusion.weights.source import CHUNK
from nodegraph.diffusion.weights.store import DTYPES, Reader, Weights

SPELLINGS: Mapping[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}
"""How safetensors spells precisions."""

Tell = Callable[[int, int], object]
"""Called with the bytes written and the bytes in all; what it raises stops the writing."""

Stamps = Callable[[BinaryIO, int], Mapping[str, str]]
"""From a written file and where its data starts to metadata that take the place of ones of the same length."""


class Entry(NamedTuple):
    """A tensor to be written: what the header tells of it, and what makes it, on any device and at any precision."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    produce: Callable[[], Tensor]

    @property
    def size(self) -> int:
        """Bytes that it takes in the file."""
        return prod(self.shape) * self.dtype.itemsize


def save_streamed(
    path: Path,
    entries: Iterable[Entry],
    metadata: Mapping[str, str] | None = None,
    *,
    tell: Tell | None = None,
    stamps: Stamps | None = None,
) -> Path:
    """Write a safetensors file with one tensor in memory at a time; return its path.

    Tensors of wide elements come first, those of one width in the order given. The file appears whole or not at all.
    Raises ValueError for two tensors of a name, one of another shape than told, and one that is not finite at its
    precision; OSError if the file cannot be written.
    """
    ordered = sorted(entries, key=lambda entry: -entry.dtype.itemsize)
    header = _header(ordered, metadata or {})
    total, done = sum(entry.size for entry in ordered), 0
    with _new_file(path) as stream:
        stream.write(header)
        for entry in ordered:
            for piece in _pieces(entry):
                stream.write(piece)
                done += len(piece)
                if tell is not None:
                    tell(done, total)
        if stamps is not None:
            stamped = _header(ordered, {**(metadata or {}), **stamps(stream, len(header))})
            if len(stamped) != len(header):
                raise ValueError("stamps of another length than what they take the place of")
            stream.seek(0)
            stream.write(stamped)
    return path


def weights_entries(
    weights: Weights, reader: Reader, dtype: torch.dtype | None = None, rename: Callable[[str], str] = str
) -> Iterator[Entry]:
    """Yield the tensors of weights that are open for reading, at their precision or at another."""
    for name, shape in weights.shapes.items():

        def produce(name: str = name, shape: tuple[int, ...] = shape) -> Tensor:
            tensor = torch.empty(shape, dtype=weights.dtype(name))
            reader.copy(name, tensor)
            return tensor

        yield Entry(rename(name), dtype or weights.dtype(name), shape, produce)


def header_size(entries: Sequence[Entry], metadata: Mapping[str, str]) -> int:
    """Return the bytes before the data in a file of these tensors."""
    return len(_header(sorted(entries, key=lambda entry: -entry.dtype.itemsize), metadata))


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file under a temporary name that takes the final one where all went well."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with temporary.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except FileNotFoundError as error:
        raise OSError(f"{path}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _header(entries: Sequence[Entry], metadata: Mapping[str, str]) -> bytes:
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for entry in entries:
        if entry.name in table:
            raise ValueError(f"two tensors are named {entry.name!r}")
        offsets = [begin, begin := begin + entry.size]
        table[entry.name] = {"dtype": SPELLINGS[entry.dtype], "shape": list(entry.shape), "data_offsets": offsets}
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(f"the header takes {len(text)} bytes, at most {MAX_HEADER} can be read")
    return len(text).to_bytes(8, "little") + text


def _pieces(entry: Entry) -> Iterator[memoryview]:
    """Yield the bytes of a tensor, a few megabytes at a time."""
    tensor = entry.produce().detach()
    if tuple(tensor.shape) != entry.shape:
        raise ValueError(f"{entry.name}: got the shape {tuple(tensor.shape)}, expected {entry.shape}")
    for part in tensor.reshape(-1).split(max(1, CHUNK // entry.dtype.itemsize)):
        stored = part.to("cpu", entry.dtype).contiguous()
        if not (stored if entry.dtype.itemsize > 1 else stored.float()).isfinite().all():
            raise ValueError(f"{entry.name} is not finite at {str(entry.dtype).removeprefix('torch.')}")
        yield memoryview(stored.view(torch.uint8).numpy())
