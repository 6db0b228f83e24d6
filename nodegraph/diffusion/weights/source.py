"""What is stored at a path: a safetensors file, or a folder as diffusers writes it; headers only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nodegraph.diffusion.weights.errors import (
    CorruptFileError,
    MissingFileError,
    NotSafetensorsError,
    PickledFileError,
)
from nodegraph.diffusion.weights.family import Family, Tensors
from nodegraph.diffusion.weights.header import PICKLE_SUFFIXES, TensorInfo, read_header
from nodegraph.diffusion.weights.hints import Hints
from nodegraph.diffusion.weights.layouts import diffusers

MAX_JSON = 10_000_000
"""Bytes; an index of shards takes about 100 a tensor."""

CHUNK = 4 * 2**20
"""Bytes read between two looks at whether to go on: a fraction of a second even from a slow disk."""
MOST_DIGESTS = 256
_digests: dict[tuple[Path, int, int], str] = {}
"""File, size and time of its last change -> its digest; the oldest are forgotten."""

STEMS = ("diffusion_pytorch_model", "model")
VARIANTS = ("", "fp16", "bf16", "fp32")
"""Variants of a folder's files, the first that is there is taken."""


@dataclass(frozen=True)
class Source:
    """The tensors at a path by their stored names (in a folder `part/name`) and what is told beside them."""

    path: Path
    folder: bool
    tensors: Tensors
    hints: Hints


def open_source(path: Path, families: Iterable[Family]) -> Source:
    """Read what is stored at a path, of a folder only the parts that one of the families has.

    Raises a WeightsError for what is no weights file or folder.
    """
    if path.is_dir():
        given = list(families)
        alone = all(len(family.parts) == 1 for family in given)
        return _open_folder(path, {part.folder for family in given for part in family.parts}, alone)
    header = read_header(path)
    return Source(path, False, header.tensors, Hints.from_metadata(path, header.metadata))


def digest(files: Sequence[Path], check: Callable[[], object] | None = None) -> str:
    """Return the sha256 of a file's bytes; of several files, that of the sorted lines `sha256  folder/name`.

    A file that did not change is read once a process. `check` is called every `CHUNK` bytes; what it raises stops the
    reading.
    """
    if len(files) == 1:
        return _digest_file(files[0], check)
    lines = sorted(f"{_digest_file(file, check)}  {file.parent.name}/{file.name}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_file(file: Path, check: Callable[[], object] | None) -> str:
    stat = file.stat()
    key = (file, stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        _digests[key] = _digest_bytes(file, check)
        for old in list(_digests)[:-MOST_DIGESTS]:
            _digests.pop(old, None)
    return _digests[key]


def _digest_bytes(file: Path, check: Callable[[], object] | None) -> str:
    hashed, buffer = hashlib.sha256(), bytearray(CHUNK)
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            hashed.update(memoryview(buffer)[:count])
            if check is not None:
                check()
    return hashed.hexdigest()


def _open_folder(path: Path, parts: Collection[str], alone: bool) -> Source:
    tensors: dict[str, TensorInfo] = {}
    configs: dict[str, Any] = {}
    folders = {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir()}
    if alone and _weight_files(path):  # the part's own folder
        folders = dict.fromkeys(parts, path)
    for part, folder in folders.items():
        for name in ("config.json", "scheduler_config.json"):
            if (folder / name).is_file():
                configs[part] = _read_json(folder / name)
        for file in _weight_files(folder) if part in parts else ():
            tensors |= {f"{part}/{name}": info for name, info in read_header(file).tensors.items()}
    if not tensors:
        _refuse_folder(path)
    return Source(path, True, tensors, Hints(path, diffusers.hints(configs)))


def _refuse_folder(path: Path) -> None:
    for file in sorted(path.glob("*/*")):
        if file.suffix in PICKLE_SUFFIXES:
            raise PickledFileError(file)
    raise NotSafetensorsError(
        path, "a folder without parts: expected folders such as unet/ that hold safetensors files"
    )


def _weight_files(folder: Path) -> list[Path]:
    """Return a part's files: one, the shards of an index, or none."""
    for variant in VARIANTS:
        dotted = f".{variant}" if variant else ""
        for stem in STEMS:
            file = folder / f"{stem}{dotted}.safetensors"
            if file.is_file():
                return [file]
            index = folder / f"{stem}.safetensors.index{dotted}.json"
            if index.is_file():
                return _shards(index)
    return []


def _shards(index: Path) -> list[Path]:
    weight_map = _read_json(index).get("weight_map")
    texts = isinstance(weight_map, dict) and all(isinstance(name, str) for name in weight_map.values())
    if not weight_map or not texts:
        raise CorruptFileError(index, "expected a table weight_map of tensors and files")
    names = sorted(set(weight_map.values()))
    for name in names:
        if PurePath(name).name != name or "\\" in name:
            raise CorruptFileError(index, f"weight_map names {name!r}, expected a file of the same folder")
    return [index.parent / name for name in names]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON:
            raise CorruptFileError(path, f"over {MAX_JSON} bytes of JSON")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(path, "no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFileError(path, f"not readable as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CorruptFileError(path, f"expected a JSON object, got {type(values).__name__}")
    return values
