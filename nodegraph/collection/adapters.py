"""What a LoRA or its kin is, and for which family, told from its header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nodegraph.collection.signs import ADAPTERS
from nodegraph.diffusion.adapters.keys import Role, role_of
from nodegraph.diffusion.adapters.layouts import others, stable_diffusion
from nodegraph.diffusion.adapters.naming import unwrapped
from nodegraph.diffusion.weights.family import Tensors

SIGNS = (*others.SIGNS, *stable_diffusion.SIGNS)
KINDS = (
    # what it is called, a role that only it has; the first that fits counts
    ("DoRA", "magnitude"),
    ("LoHa", "w1_a"),
    ("LoKr", "lokr_"),
    ("OFT", "oft"),
    ("GLoRA", "glora_"),
    ("IA3", "on_input"),
    ("LoRA", "down"),
    ("full difference", "diff"),
)
ALPHA = ".alpha"
SCALES = {"scales", "alpha", "scalar"}
TEXT = re.compile(r"^(?:lora_te|lycoris_te|text_encoder|text_encoders\.|lora_te\d)")

Roles = Mapping[str, Mapping[str, tuple[int, ...]]]
"""Layer -> role -> shape of the tensor that has it."""


@dataclass(frozen=True)
class AdapterInfo:
    """An adapter by its header: what it is called, the family it was made for if that can be told, and its layers."""

    what: str
    family: str | None
    layers: int
    keys: int
    text_layers: int
    ranks: tuple[int, ...]
    unknown: int

    @property
    def detail(self) -> str:
        """Say how large it is."""
        layers = f"{self.layers} layers" if self.layers != 1 else "1 layer"
        parts = [f"{layers} ({self.keys} {'keys' if self.keys != 1 else 'key'})"]
        parts += [f"{self.text_layers} of them of the text encoder"] * bool(self.text_layers)
        if self.ranks:
            low, high = self.ranks[0], self.ranks[-1]
            parts.append(f"rank {low}" if low == high else f"ranks {low} to {high}")
        parts += [f"{self.unknown} tensors not known"] * bool(self.unknown)
        return ", ".join(parts)


def adapter(tensors: Tensors) -> AdapterInfo | None:
    """Return what an adapter file is, None for a file of something else."""
    names = "\n".join(tensors)
    if not any(part in names for part in ADAPTERS):
        return None
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    unknown = 0
    read = _Roles()
    for name, info in tensors.items():
        found = read(name)
        if found is None:
            unknown += 1
        else:
            layers.setdefault(unwrapped(found.layer), {})[found.role] = info.shape
    for layer, roles in list(layers.items()):
        if roles.keys() <= SCALES:
            unknown += len(layers.pop(layer))
    if not layers or unknown > len(tensors) // 2:
        return None
    ranks = sorted({shapes["down"][0] for shapes in layers.values() if shapes.get("down")})
    text = sum(TEXT.match(layer) is not None for layer in layers)
    return AdapterInfo(_what(layers), _family(layers), len(layers), len(tensors) - unknown, text, tuple(ranks), unknown)


class _Roles:
    """Reads names as `role_of` does, and remembers the endings of those that no other one ends with."""

    def __init__(self) -> None:
        self._endings: dict[str, str] = {}

    def __call__(self, name: str) -> Role | None:
        """Return what a tensor is to its layer."""
        if name.endswith(ALPHA):
            return Role(name.removesuffix(ALPHA), "alpha")
        mark = name.find(".lora_")
        ending = name[mark:] if mark > 0 else ""
        if ending in self._endings:
            return Role(name[:mark], self._endings[ending])
        found = role_of(name)
        if found is not None and ending and found.layer == name[:mark]:
            self._endings[ending] = found.role
        return found


def _what(layers: Roles) -> str:
    roles = Counter(role for shapes in layers.values() for role in shapes)
    for what, sign in KINDS:
        if any(role == sign or (sign[-1] == "_" and role.startswith(sign)) for role in roles):
            kernels = any(len(shapes.get("down", ())) == 4 and shapes["down"][-1] > 1 for shapes in layers.values())
            return "LoCon" if what == "LoRA" and kernels else what
    return "adapter"


def _family(layers: Roles) -> str | None:
    sizes = {layer: _size(shapes) for layer, shapes in layers.items()}
    for sign in SIGNS:
        out, into = sign.size
        fitting = [
            layer
            for layer, (outputs, inputs) in sizes.items()
            if (out is None or out == outputs) and (into is None or into == inputs)
        ]
        pattern = re.compile(sign.pattern)
        if any(pattern.search(layer) for layer in fitting):
            return sign.title
    return None


def _size(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int | None, int | None]:
    """Return the outputs and inputs of the layer that is changed, None where its tensors do not tell."""
    outputs = next((shapes[role][0] for role in ("up", "w1_a", "diff", "set") if shapes.get(role)), None)
    inputs = next((shapes[role][1] for role in ("down", "w1_b", "diff", "set") if len(shapes.get(role, ())) > 1), None)
    if "lokr_w1" in shapes or "lokr_w1_a" in shapes:
        return _kron(shapes, "a", 0), _kron(shapes, "b", 1)
    return outputs, inputs


def _kron(shapes: Mapping[str, tuple[int, ...]], factor: str, axis: int) -> int | None:
    """Return a side of the Kronecker product of LoKr's two factors, either of which may be a product itself."""
    sides = []
    for name in ("lokr_w1", "lokr_w2"):
        shape = shapes.get(name) or shapes.get(f"{name}_{factor}")
        if shape is None or len(shape) < 2:
            return None
        sides.append(shape[axis])
    return sides[0] * sides[1]
