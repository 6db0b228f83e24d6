"""Write LoRA files as kohya's tools name their tensors, for this and for other programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.additive import Full, LowRank
from nodegraph.diffusion.adapters.delta import Delta, Scaled
from nodegraph.diffusion.adapters.layouts.stable_diffusion import diffusers_name, diffusers_prefixes
from nodegraph.diffusion.adapters.naming import modules_of
from nodegraph.diffusion.weights.stream import Entry, header_size, save_streamed

Names = Literal["diffusers", "ldm"]
"""What a UNet's layers are called: SD1 and SD2 files have diffusers' names, SDXL's mostly LDM's."""

PREFIXES = {"unet": "lora_unet_", "clip": "lora_te_", "clip_l": "lora_te1_", "clip_g": "lora_te2_"}
HASHES = {"sshs_model_hash": 64, "sshs_legacy_hash": 8}
"""The hashes that kohya's tools put into a header, and their lengths."""
LEGACY_WINDOW = (0x100000, 0x10000)
"""Where the bytes of the old hash start, and how many they are."""


def save_lora(
    path: Path,
    changes: Mapping[str, Mapping[str, Delta]],
    modules: Mapping[str, Collection[str]],
    *,
    dtype: torch.dtype = torch.float16,
    names: Names = "diffusers",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write changes, by part and name of the tensor, as a LoRA file; return its path.

    `modules` are the names of all the tensors of the networks, which the layers' names are told by. `metadata` goes
    beside what is told of ranks and alphas, and the hashes. Raises ValueError for changes that such a file cannot hold.
    """
    entries = list(_entries(changes, modules, dtype, names))
    if not entries:
        raise ValueError("nothing to save: no tensor is changed")
    told = {**_told(changes), **(metadata or {})}
    blank = {**told, **{name: "0" * length for name, length in HASHES.items()}}
    bare = header_size(entries, {name: value for name, value in told.items() if name.startswith("ss_")})
    return save_streamed(path, entries, blank, stamps=partial(_hashes, bare=bare))


def _entries(
    changes: Mapping[str, Mapping[str, Delta]],
    tensors: Mapping[str, Collection[str]],
    dtype: torch.dtype,
    names: Names,
) -> Iterator[Entry]:
    for part, deltas in changes.items():
        prefixes = diffusers_prefixes(modules_of(tensors[part])) if part == "unet" and names == "diffusers" else {}
        for name, delta in sorted(deltas.items()):
            module, _, leaf = name.rpartition(".")
            layer = PREFIXES[part] + diffusers_name(module, prefixes).replace(".", "_")
            for role, tensor in _tensors(name, leaf, delta).items():
                yield _entry(f"{layer}.{role}", tensor, dtype)


def _tensors(name: str, leaf: str, delta: Delta) -> dict[str, Tensor]:
    """Return the tensors that stand for a change in a file, by their roles."""
    delta = _plain(delta)
    if isinstance(delta, LowRank):
        alpha = torch.tensor(delta.scale * delta.down.shape[0])
        tensors = {"lora_up.weight": delta.up, "lora_down.weight": delta.down, "alpha": alpha}
        return tensors if delta.mid is None else {**tensors, "lora_mid.weight": delta.mid}
    if isinstance(delta, Full):
        scaled = delta.diff if delta.scale == 1.0 else delta.diff.float() * delta.scale
        return {"diff_b" if leaf == "bias" else "diff": scaled}
    raise ValueError(f"{name}: a change of kind {type(delta).__name__} cannot be written")


def _plain(delta: Delta, factor: float = 1.0) -> Delta:
    """Return a change with the factors that it is scaled by in its own scale."""
    if isinstance(delta, Scaled):
        return _plain(delta.inner, factor * delta.factor)
    return replace(delta, scale=delta.scale * factor) if isinstance(delta, LowRank | Full) else delta


def _entry(name: str, tensor: Tensor, dtype: torch.dtype) -> Entry:
    return Entry(name, dtype, tuple(tensor.shape), lambda: tensor)


def _told(changes: Mapping[str, Mapping[str, Delta]]) -> dict[str, str]:
    """Return what kohya's trainer tells of ranks and alphas; `Dynamic` where they differ."""
    linear: set[tuple[int, float]] = set()
    kernels: set[tuple[int, float]] = set()
    for deltas in changes.values():
        for delta in map(_plain, deltas.values()):
            if isinstance(delta, LowRank):
                wide = delta.mid is not None or delta.down[0, 0].numel() > 1
                (kernels if wide else linear).add((delta.rank, delta.scale * delta.down.shape[0]))
    told = {"ss_network_module": "networks.lora"}
    if linear or kernels:
        told["ss_network_dim"], told["ss_network_alpha"] = _common(linear or kernels)
    if kernels:
        rank, alpha = _common(kernels)
        told["ss_network_args"] = json.dumps({"conv_dim": rank, "conv_alpha": alpha})
    return told


def _common(ranks: Collection[tuple[int, float]]) -> tuple[str, str]:
    dims, alphas = {rank for rank, _ in ranks}, {alpha for _, alpha in ranks}
    rank = str(dims.pop()) if len(dims) == 1 else "Dynamic"
    return rank, f"{alphas.pop():g}" if len(alphas) == 1 else "Dynamic"


def _hashes(stream: BinaryIO, start: int, *, bare: int) -> dict[str, str]:
    """Hash the data, and a stretch of the file as it would be with a header of `bare` bytes."""
    whole = hashlib.sha256()
    stream.seek(start)
    while piece := stream.read(2**20):
        whole.update(piece)
    first, length = LEGACY_WINDOW
    stream.seek(start + max(0, first - bare))
    old = hashlib.sha256(stream.read(length))
    return {"sshs_model_hash": whole.hexdigest(), "sshs_legacy_hash": old.hexdigest()[:8]}
