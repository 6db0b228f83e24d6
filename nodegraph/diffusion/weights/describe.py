"""What a checkpoint is, told from its header alone: no torch, no tensor read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nodegraph.diffusion.registry import families as known_families
from nodegraph.diffusion.values import Prediction
from nodegraph.diffusion.weights.detect import Detected, detect
from nodegraph.diffusion.weights.family import Config, Family, Part, Tensors
from nodegraph.diffusion.weights.hints import Schedule
from nodegraph.diffusion.weights.source import Source, open_source

PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}


@dataclass(frozen=True)
class PartInfo:
    """One network of a checkpoint; `size` is in bytes."""

    name: str
    title: str
    tensors: int
    parameters: int
    size: int
    precision: str
    config: Config


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint is; `size` is that of its files in bytes, `missing` names the parts that it lacks."""

    path: Path
    family: str
    title: str
    folder: bool
    precision: str
    parameters: int
    size: int
    parts: tuple[PartInfo, ...]
    missing: tuple[str, ...]
    prediction: Prediction
    schedule: Schedule


def describe(path: Path, families: Iterable[Family] | None = None) -> CheckpointInfo:
    """Say what the checkpoint at `path` is; raise a WeightsError if it is none."""
    known = known_families() if families is None else list(families)
    source = open_source(path, known)
    return _info(source, detect(source, known))


def _info(source: Source, detected: Detected) -> CheckpointInfo:
    present = [part for part in detected.family.parts if part not in detected.missing]
    parts = tuple(_part(part, detected.parts[part.name], detected.configs[part.name]) for part in present)
    return CheckpointInfo(
        path=source.path,
        family=detected.family.name,
        title=detected.family.title,
        folder=source.folder,
        precision=_precision(detected.parts[part.name] for part in present),
        parameters=sum(part.parameters for part in parts),
        size=sum(file.stat().st_size for file in detected.files),
        parts=parts,
        missing=tuple(part.title for part in detected.missing),
        prediction=detected.prediction,
        schedule=detected.schedule,
    )


def _part(part: Part, tensors: Tensors, config: Config) -> PartInfo:
    return PartInfo(
        part.name,
        part.title,
        len(tensors),
        sum(info.count for info in tensors.values()),
        sum(info.size for info in tensors.values()),
        _precision([tensors]),
        config,
    )


def _precision(tables: Iterable[Tensors]) -> str:
    """Return the precision, or `mixed (...)` with the one of most elements first."""
    counts: dict[str, int] = {}
    for tensors in tables:
        for info in tensors.values():
            name = PRECISIONS.get(info.dtype, info.dtype.lower())
            counts[name] = counts.get(name, 0) + info.count
    names = sorted(counts, key=lambda name: -counts[name])
    return names[0] if len(names) == 1 else f"mixed ({', '.join(names)})"
