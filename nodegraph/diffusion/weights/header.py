"""The header of a safetensors file, read without torch and without trusting it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from nodegraph.diffusion.weights.errors import (
    CorruptFileError,
    MissingFileError,
    NotSafetensorsError,
    PickledFileError,
    TruncatedFileError,
)

MAX_HEADER = 25_000_000
"""Bytes; the largest headers known (thousands of tensors) take less than a tenth."""

FIRST = 64
"""Bytes of a file's start by which files of other kinds are known."""
MAX_RANK = 16

BITS = {
    **{"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32},
    **{"F16": 16, "BF16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8},
    **{
        "F8_E4M3": 8,
        "F8_E5M2": 8,
        "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8,
        "F6_E2M3": 6,
        "F6_E3M2": 6,
        "F4": 4,
    },
}

OTHER_KINDS = {
    b"PK\x03\x04": None,
    b"\x80\x02": None,
    b"\x80\x03": None,
    b"\x80\x04": None,
    b"\x80\x05": None,
    b"GGUF": "a GGUF file",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a Git LFS pointer, not the file that it stands for: run `git lfs pull`",
    b"<": "a web page: the download went wrong",
    b"{": "a JSON file",
}
"""How files of other kinds start; None marks pickles."""

PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies: its file, its name in there, dtype (safetensors' spelling), shape, bytes and first byte.

    It may be some rows, from `row` on, of the one that is stored, or be stored `transposed`; shape and bytes are its
    own.
    """

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    offset: int = 0
    row: int = 0
    transposed: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def rows(self, first: int, number: int) -> TensorInfo:
        """Return the part of `number` rows from `first` on."""
        bytes_a_row = self.size // self.shape[0]
        shape, offset = (number, *self.shape[1:]), self.offset + first * bytes_a_row
        return replace(self, shape=shape, size=number * bytes_a_row, offset=offset, row=self.row + first)


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says about itself."""

    file: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file and check that the file holds every tensor that it names.

    Raises MissingFileError, PickledFileError, NotSafetensorsError, TruncatedFileError or CorruptFileError.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            length = header_length(path, stream.read(FIRST), size)
            stream.seek(8)
            text = stream.read(length)
    except FileNotFoundError as error:
        raise MissingFileError(path, "no such file") from error
    except OSError as error:
        raise NotSafetensorsError(path, f"cannot be read: {error.strerror}") from error
    return parse_header(path, text, size)


def header_length(path: Path, start: bytes, size: int) -> int:
    """Return how long the header after the first eight bytes is, by a file's `FIRST` bytes and how many it has in all.

    Raises what `read_header` does for a file that is none; it need not be here.
    """
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or length > MAX_HEADER:
        _refuse(path, start[:FIRST])
    if length > size - 8:
        raise TruncatedFileError(path, f"the file ends inside its header: got {size} bytes, expected over {length + 8}")
    return length


def parse_header(path: Path, text: bytes, size: int) -> Header:
    """Read the header of a file of `size` bytes, which need not be here, and check it as `read_header` does."""
    entries = _parse(path, text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptFileError(path, "the header's __metadata__ is not a table of texts")
    data_size = size - 8 - len(text)
    tensors = {name: _tensor(path, name, entry, 8 + len(text), data_size) for name, entry in entries.items()}
    return Header(path, tensors, metadata)


def _refuse(path: Path, start: bytes) -> None:
    for magic, kind in OTHER_KINDS.items():
        if start.startswith(magic):
            if kind is None:
                raise PickledFileError(path)
            raise NotSafetensorsError(path, f"not a safetensors file but {kind}")
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise PickledFileError(path)
    if len(start) < 9:
        raise TruncatedFileError(path, f"got {len(start)} bytes, too few for a safetensors file")
    raise NotSafetensorsError(path, "not a safetensors file: it does not start with a header")


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(path, f"the header is not valid JSON: {error}") from error
    if not isinstance(entries, dict):
        raise CorruptFileError(path, "the header is not a JSON object")
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _tensor(path: Path, name: str, entry: Any, start: int, data_size: int) -> TensorInfo:
    if not isinstance(entry, dict):
        raise _nonsense(path, name)
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > MAX_RANK:
        raise _nonsense(path, name)
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _nonsense(path, name, f": unknown dtype {dtype!r}")
    begin, end = offsets
    if (end - begin) * 8 != prod(shape) * BITS[dtype]:
        raise _nonsense(path, name, f": {dtype} {shape} does not take {end - begin} bytes")
    if end > data_size:
        raise TruncatedFileError(
            path, f"the file ends inside the tensor {name!r}: got {data_size} bytes of data, expected {end} or more"
        )
    return TensorInfo(path, name, dtype, tuple(shape), end - begin, start + begin)


def _nonsense(path: Path, name: str, why: str = "") -> CorruptFileError:
    return CorruptFileError(path, f"the header's entry of {name!r} makes no sense{why}")


def _naturals(values: Any) -> TypeGuard[list[int]]:
    # A list, as generators take longer to start than this takes: it runs a million times for a thousand files.
    return isinstance(values, list) and not [value for value in values if type(value) is not int or value < 0]
