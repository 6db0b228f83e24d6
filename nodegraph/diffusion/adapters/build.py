"""Changes of layers made from the tensors that a file holds for them, by their roles."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.additive import Additive, Full, Hadamard, Kronecker, LowRank
from nodegraph.diffusion.adapters.delta import Delta
from nodegraph.diffusion.adapters.dependent import Butterfly, Decomposed, Generalized, Replacement, Rescaling, Rotation

Roles = Mapping[str, Tensor]

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lora", ("up", "down")),
    ("loha", ("w1_a", "w1_b", "w2_a", "w2_b")),
    ("glora", ("glora_a1", "glora_a2", "glora_b1", "glora_b2")),
    ("oft", ("oft",)),
    ("full", ("diff",)),
    ("norm", ("norm",)),
    ("ia3", ("scales", "on_input")),
    ("set", ("set",)),
)
"""A kind of adapter and the roles that tell it; LoKr, whose factors may be whole or pairs, is told by itself."""


class LayerError(ValueError):
    """Tensors of a layer that make no adapter; the message tells why."""


def build(roles: Roles, scaling: float | None = None) -> tuple[str, dict[str, Delta]]:
    """Return an adapter's kind and its changes of a layer's `weight` and `bias`.

    `scaling` (alpha / rank, told beside the tensors) holds where there is no alpha. Raises LayerError.
    """
    kind, deltas = "", {}
    weight = _weight(roles, scaling)
    if weight is not None:
        kind, deltas["weight"] = weight
    for role in ("diff_b", "norm_b", "up_bias"):
        if role in roles:
            deltas["bias"] = Full(roles[role])
    if not deltas:
        raise LayerError(f"has {', '.join(sorted(roles))} alone, which is no adapter")
    return kind or "full", deltas


def _weight(roles: Roles, scaling: float | None) -> tuple[str, Delta] | None:
    kind = next((kind for kind, needs in KINDS if all(role in roles for role in needs)), None)
    if kind is None and any(role.startswith("lokr_") for role in roles):
        kind = "lokr"
    if kind is None:
        if "up" in roles or "down" in roles:
            raise LayerError("has one of its two factors alone")
        return None
    delta = _delta(kind, roles, scaling)
    if "magnitude" in roles:
        if not isinstance(delta, Additive):
            raise LayerError(f"has the magnitudes of a DoRA beside a change of kind {kind}")
        return "dora", Decomposed(delta, roles["magnitude"])
    return ("locon" if kind == "lora" and roles["down"].ndim == 4 and roles["down"][0, 0].numel() > 1 else kind), delta


def _delta(kind: str, roles: Roles, scaling: float | None) -> Delta:
    scalar = _number(roles, "scalar", 1.0)
    if kind == "lora":
        return _low_rank(roles, scaling, scalar)
    if kind == "loha":
        a1, b1, a2, b2 = (roles[role] for role in ("w1_a", "w1_b", "w2_a", "w2_b"))
        _check_matrices(a1, b1, a2, b2)
        _check_product(a1, b1, roles.get("hada_t1"))
        _check_product(a2, b2, roles.get("hada_t2"))
        if _product_shape(a1, b1, roles.get("hada_t1")) != _product_shape(a2, b2, roles.get("hada_t2")):
            raise LayerError("LoHa's two products have different shapes")
        scale = _scale(roles, b1.shape[0], scaling) * scalar
        return Hadamard(a1, b1, a2, b2, scale, roles.get("hada_t1"), roles.get("hada_t2"))
    if kind == "lokr":
        return _kronecker(roles, scaling, scalar)
    if kind == "glora":
        return _generalized(roles, scaling, scalar)
    if kind == "oft":
        return _rotation(roles)
    if kind == "ia3":
        return Rescaling(roles["scales"], _number(roles, "on_input", 0.0) != 0)
    if kind == "set":
        return Replacement(roles["set"])
    return Full(roles["diff" if kind == "full" else "norm"], scalar if kind == "full" else 1.0)


def _low_rank(roles: Roles, scaling: float | None, scalar: float) -> LowRank:
    up, down, mid = roles["up"], roles["down"], roles.get("mid")
    _check_matrices(up, down)
    inner = (mid.shape[0], mid.shape[1]) if mid is not None and mid.ndim == 4 else (down.shape[0],) * 2
    if (up.shape[1], down.shape[0]) != inner or up[0, 0].numel() != 1:
        raise LayerError(f"its factors {list(up.shape)} and {list(down.shape)} do not multiply")
    return LowRank(up, down, _scale(roles, down.shape[0], scaling) * scalar, mid)


def _kronecker(roles: Roles, scaling: float | None, scalar: float) -> Kronecker:
    held = {role.removeprefix("lokr_"): tensor for role, tensor in roles.items() if role.startswith("lokr_")}
    for factor in ("w1", "w2"):
        if factor not in held and not {f"{factor}_a", f"{factor}_b"} <= held.keys():
            raise LayerError(f"LoKr's {factor} is neither whole nor a pair")
    _check_matrices(*held.values())
    if "w1" not in held:
        _check_product(held["w1_a"], held["w1_b"], None)
    if "w2" not in held:
        _check_product(held["w2_a"], held["w2_b"], held.get("t2"))
    if (w1 := held.get("w1")) is not None and w1.ndim != 2:
        raise LayerError(f"LoKr's w1 is {list(w1.shape)}, expected a matrix")
    pair = held.get("w2_b", held.get("w1_b"))
    scale = 1.0 if pair is None else _scale(roles, pair.shape[0], scaling)
    return Kronecker(**held, scale=scale * scalar)


def _generalized(roles: Roles, scaling: float | None, scalar: float) -> Generalized:
    a1, a2, b1, b2 = (roles[f"glora_{role}"] for role in ("a1", "a2", "b1", "b2"))
    _check_matrices(a1, a2, b1, b2)
    rank = a1.shape[1]
    if not rank == a2.shape[0] == b1.shape[1] == b2.shape[0]:
        rank = a1.shape[0]  # the order of old files: what is multiplied first comes second
        if not rank == a2.shape[1] == b1.shape[0] == b2.shape[1]:
            raise LayerError("GLoRA's pairs do not multiply")
        a1, a2, b1, b2 = a2, a1, b2, b1
    return Generalized(a1, a2, b1, b2, _scale(roles, rank, scaling) * scalar)


def _rotation(roles: Roles) -> Delta:
    blocks, constraint, rescale = roles["oft"], _number(roles, "alpha", 0.0), roles.get("rescale")
    if blocks.ndim not in (3, 4) or blocks.shape[-1] != blocks.shape[-2]:
        raise LayerError(f"OFT's blocks are {list(blocks.shape)}, expected [n, b, b] or [m, n, b, b]")
    return Rotation(blocks, constraint, rescale) if blocks.ndim == 3 else Butterfly(blocks, constraint, rescale)


def _scale(roles: Roles, rank: int, scaling: float | None) -> float:
    if "alpha" not in roles:
        return 1.0 if scaling is None else scaling
    return _number(roles, "alpha", float(rank)) / rank


def _number(roles: Roles, role: str, default: float) -> float:
    if role not in roles:
        return default
    tensor = roles[role]
    if tensor.numel() != 1:
        raise LayerError(f"its {role} is {list(tensor.shape)}, expected a number")
    value = float(tensor.to(torch.float64).item())
    if not math.isfinite(value):
        raise LayerError(f"its {role} is {value}")
    return value


def _check_product(a: Tensor, b: Tensor, core: Tensor | None) -> None:
    """Raise LayerError unless a pair multiplies, with a core between if there is one."""
    if core is None:
        fits = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]
    else:
        fits = core.ndim == 4 and a.ndim == b.ndim == 2 and (a.shape[0], b.shape[0]) == tuple(core.shape[:2])
    if not fits:
        raise LayerError(f"its factors {list(a.shape)} and {list(b.shape)} do not multiply")


def _product_shape(a: Tensor, b: Tensor, core: Tensor | None) -> tuple[int, ...]:
    return (a.shape[0], b.shape[1]) if core is None else (a.shape[1], b.shape[1], *core.shape[2:])


def _check_matrices(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.ndim not in (2, 4) or tensor.numel() == 0:
            raise LayerError(f"a factor is {list(tensor.shape)}, expected a matrix or a kernel")
