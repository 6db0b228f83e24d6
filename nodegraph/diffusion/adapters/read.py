"""Read adapter files: what they change, under the names that they use, before any network is at hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from nodegraph.diffusion.adapters.build import LayerError, build
from nodegraph.diffusion.adapters.delta import Delta
from nodegraph.diffusion.adapters.keys import role_of
from nodegraph.diffusion.weights.errors import CorruptFileError, WeightsError, shortened
from nodegraph.diffusion.weights.header import Header, read_header
from nodegraph.diffusion.weights.store import DTYPES

logger = logging.getLogger(__name__)

BUNDLED = "bundle_emb."
"""How the names of embeddings start that lie in an adapter file."""
PEFT = "lora_adapter_metadata"
"""Where diffusers tells peft's configuration in a header."""


class AdapterError(WeightsError):
    """A file that holds no adapter, or one that cannot be used."""


@dataclass(frozen=True, eq=False)
class Layer:
    """What a file changes in one layer: its name there, the changes of its `weight` and `bias`, its tensors' names."""

    name: str
    kind: str
    deltas: Mapping[str, Delta]
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter file as it is stored; `match` finds which tensors of a network its layers change.

    `unknown` are the names of tensors that belong to no adapter that is known, `embeddings` those bundled with it,
    by name and then by the width of the text encoder.
    """

    path: Path
    layers: tuple[Layer, ...]
    unknown: tuple[str, ...] = ()
    embeddings: Mapping[str, Mapping[int, Tensor]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def kinds(self) -> Mapping[str, int]:
        """How many layers are changed by each kind: `lora`, `locon`, `loha`, `lokr`, `dora`, `oft`, `full` ..."""
        counts: dict[str, int] = {}
        for layer in self.layers:
            counts[layer.kind] = counts.get(layer.kind, 0) + 1
        return counts

    @property
    def kind(self) -> str:
        """The kind of most layers."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])


def read_adapter(path: Path) -> Adapter:
    """Read a LoRA or its kin; the tensors are pages of the file.

    Raises a WeightsError for what is no safetensors file, AdapterError for one without an adapter or with a layer that
    makes no sense.
    """
    header = read_header(path)
    grouped, unknown = _grouped(header)
    bundled = [name for name in unknown if name.startswith(BUNDLED)]
    if not grouped:
        raise AdapterError(path, _no_adapter(header))
    tensors = _tensors(header)
    scalings = _scalings(header)
    layers = tuple(_layers(path, grouped, tensors, scalings))
    return Adapter(
        path,
        layers,
        tuple(name for name in unknown if name not in bundled),
        _bundled({name: tensors(name) for name in bundled}),
        dict(header.metadata),
    )


def _grouped(header: Header) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the names of tensors by layer and role, and those that have none."""
    layers: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    for name, info in header.tensors.items():
        found = None if name.startswith(BUNDLED) else role_of(name)
        if found is None or (info.dtype not in DTYPES and info.count != 1):
            unknown.append(name)
        else:
            layers.setdefault(found.layer, {})[found.role] = name
    for layer, roles in list(layers.items()):
        if roles.keys() <= {"scales", "alpha", "scalar"}:  # a plain `.weight` is an adapter's beside `.on_input` alone
            unknown += roles.values()
            del layers[layer]
    return layers, unknown


def _no_adapter(header: Header) -> str:
    names = sorted(header.tensors)
    return f"no adapter: none of its {len(names)} tensors is one of a LoRA or its kin ({shortened(names)})"


def _tensors(header: Header) -> Callable[[str], Tensor]:
    try:
        file: Any = safe_open(header.file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CorruptFileError(header.file, f"cannot be read: {error}") from error

    def read(name: str) -> Tensor:
        try:
            tensor: Tensor = file.get_tensor(name)
        except SafetensorError as error:
            raise CorruptFileError(header.file, f"tensor {name!r} cannot be read: {error}") from error
        return tensor

    return read


def _layers(
    path: Path,
    grouped: Mapping[str, Mapping[str, str]],
    tensors: Callable[[str], Tensor],
    scaling: Callable[[str, int], float | None],
) -> Iterator[Layer]:
    for layer, names in grouped.items():
        roles = {role: tensors(name) for role, name in names.items()}
        rank = roles["down"].shape[0] if "down" in roles and roles["down"].ndim else 1
        try:
            kind, deltas = build(roles, scaling(layer, rank))
        except LayerError as error:
            raise AdapterError(path, f"layer {layer!r}: {error}") from error
        yield Layer(layer, kind, deltas, tuple(names.values()))


def _scalings(header: Header) -> Callable[[str, int], float | None]:
    """Return what tells alpha / rank of a layer from the configuration that diffusers stores beside a peft LoRA."""
    try:
        config = json.loads(header.metadata.get(PEFT, "{}"))
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        logger.warning("%s: the metadata %r make no sense and are passed over", header.file, PEFT)
        config = {}

    def scaling(layer: str, rank: int) -> float | None:
        part, _, rest = layer.removeprefix("base_model.model.").partition(".")
        pattern = config.get(f"{part}.alpha_pattern")
        alpha = pattern.get(rest) if isinstance(pattern, dict) else None
        alpha = config.get(f"{part}.lora_alpha") if alpha is None else alpha
        if not isinstance(alpha, int | float):
            return None
        return float(alpha) / (rank**0.5 if config.get(f"{part}.use_rslora") is True else rank)

    return scaling


def _bundled(tensors: Mapping[str, Tensor]) -> dict[str, dict[int, Tensor]]:
    found: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        embedding = name.removeprefix(BUNDLED).partition(".")[0]
        if tensor.ndim in (1, 2):
            found.setdefault(embedding, {})[tensor.shape[-1]] = tensor.reshape(-1, tensor.shape[-1])
    return found
