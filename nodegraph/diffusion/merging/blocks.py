"""How much of the other model each block takes: one share, MBW's 25 weights and their presets, or prefixes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from nodegraph.diffusion.adapters.blocks import BASE, SD1_ALL, SDXL_ALL, block_of

MBW_ORDERS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        **{len(order) - 1: order[1:] for order in (SD1_ALL, SDXL_ALL)},
        **{len(order): order for order in (SD1_ALL, SDXL_ALL)},
    }
)
"""The order of the blocks by the number of weights: 25 for Stable Diffusion 1 and 19 for SDXL, with BASE one more."""


class Share(ABC):
    """What share of the other model a tensor takes."""

    @abstractmethod
    def of(self, part: str, name: str) -> float:
        """Return the share of a tensor of a part, `unet` or a text encoder, under LDM's names."""


@dataclass(frozen=True)
class Even(Share):
    """The same share everywhere."""

    share: float

    def of(self, part: str, name: str) -> float:
        """Return the share."""
        return self.share


@dataclass(frozen=True)
class PerBlock(Share):
    """A share a block of the UNet, and `BASE` for text encoders and the rest: merge block weighted (MBW).

    As in SuperMerger the time embedding goes with IN00 and the output layers with the last block.
    """

    shares: tuple[tuple[str, float], ...]

    def of(self, part: str, name: str) -> float:
        """Return the share of the tensor's block."""
        shares = dict(self.shares)
        block = block_of(part, name)
        if part == "unet" and block == BASE:
            if name.startswith(("time_embed.", "label_emb.")):
                block = "IN00"
            elif name.startswith("out."):
                block = max((block for block in shares if block.startswith("OUT")), default=BASE)
        return shares.get(block, shares.get(BASE, 0.0))


@dataclass(frozen=True)
class PerPrefix(Share):
    """A share a prefix of names, the longest that fits; names that none fits take the first.

    This is how ComfyUI's ModelMergeBlocks (`input`, `middle`, `out`) and its per-block nodes (`time_embed.`,
    `input_blocks.0.` ...) read their inputs.
    """

    shares: tuple[tuple[str, float], ...]

    def of(self, part: str, name: str) -> float:
        """Return the share of the longest prefix."""
        fitting = [(len(prefix), share) for prefix, share in self.shares if name.startswith(prefix)]
        longest = max((length for length, _ in fitting), default=None)
        if longest is None:
            return self.shares[0][1]
        return next(share for length, share in fitting if length == longest)


def mbw(weights: str | Sequence[float], base: float | None = None) -> PerBlock:
    """Return shares a block: of a preset's name, of numbers parted by commas, or of numbers.

    25 numbers are IN00 to IN11, M00, OUT00 to OUT11; 26 have BASE before them, which `base` overrides and which is 0
    where nothing tells it. SDXL has 19 or 20. Raises ValueError for others.
    """
    if isinstance(weights, str):
        name = weights.strip().upper()
        values = PRESETS[name] if name in PRESETS else _numbers(weights)
    else:
        values = tuple(map(float, weights))
    if len(values) not in MBW_ORDERS or not all(map(math.isfinite, values)):
        raise ValueError(
            f"block weights: got {len(values)} numbers, expected {', '.join(map(str, sorted(MBW_ORDERS)))} finite ones"
        )
    shares = {BASE: 0.0, **dict(zip(MBW_ORDERS[len(values)], values, strict=True))}
    if base is not None:
        shares[BASE] = base
    return PerBlock(tuple(shares.items()))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"block weights: got {text!r}, expected numbers parted by commas or one of {', '.join(PRESETS)}"
        ) from error


BLOCKS = 25


def _curve(function: Callable[[float], float]) -> tuple[float, ...]:
    return tuple(function(block / (BLOCKS - 1)) for block in range(BLOCKS))


def _runs(*runs: tuple[float, int]) -> tuple[float, ...]:
    """Return runs of values, and the same backwards from the middle: (value, blocks on either side)."""
    half = [value for value, count in runs for _ in range(count)]
    return (*half, *half[-2::-1])


def _smooth(x: float) -> float:
    return x * x * (3 - 2 * x)


def _folded(x: float) -> float:
    """Go to and fro between 0 and 1."""
    x %= 2
    return min(x, 2 - x)


def _cubic(x: float) -> float:
    return ((77 * x / 12 - 77 / 8) * x + 25 / 6) * x + 1 / 24 if x else 0.0


def _false_cubic(x: float) -> float:
    return ((19 * x / 3 - 19 / 2) * x + 25 / 6) * x


def _reversed(curve: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(1 - value for value in curve)


_CURVES: dict[str, tuple[float, ...]] = {
    "SMOOTHSTEP": _curve(_smooth),
    **{f"SMOOTHSTEP*{n}": tuple(_folded(n * value) for value in _curve(_smooth)) for n in (2, 3, 4)},
    **{f"SMOOTHSTEP/{n}": tuple(_smooth(_folded(n * x)) for x in _curve(float)) for n in (2, 3, 4)},
}

PRESETS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "GRAD_V": _curve(lambda x: abs(1 - 2 * x)),
        "GRAD_A": _curve(lambda x: 1 - abs(1 - 2 * x)),
        "FLAT_25": (0.25,) * BLOCKS,
        "FLAT_75": (0.75,) * BLOCKS,
        "WRAP08": _runs((1, 4), (0, 9)),
        "WRAP12": _runs((1, 6), (0, 7)),
        "WRAP14": _runs((1, 7), (0, 6)),
        "WRAP16": _runs((1, 8), (0, 5)),
        "MID12_50": (*(0.0,) * 5, *(0.5,) * 14, *(0.0,) * 6),
        "OUT07": (*(0.0,) * 18, *(1.0,) * 7),
        "OUT12": (*(0.0,) * 13, *(1.0,) * 12),
        "OUT12_5": (*(0.0,) * 12, 0.5, *(1.0,) * 12),
        "RING08_SOFT": _runs((0, 5), (0.5, 1), (1, 3), (0.5, 1), (0, 3)),
        "RING08_5": _runs((0, 6), (1, 4), (0, 3)),
        "RING10_5": _runs((0, 5), (1, 5), (0, 3)),
        "RING10_3": _runs((0, 6), (1, 5), (0, 2)),
        **_CURVES,
        "REVERSE-SMOOTHSTEP": _reversed(_CURVES["SMOOTHSTEP"]),
        **{f"R_{name}": _reversed(curve) for name, curve in _CURVES.items() if name != "SMOOTHSTEP"},
        "COSINE": _curve(lambda x: (1 + math.cos(math.pi * x)) / 2),
        "REVERSE_COSINE": _curve(lambda x: (1 - math.cos(math.pi * x)) / 2),
        "TRUE_CUBIC_HERMITE": _curve(_cubic),
        "TRUE_REVERSE_CUBIC_HERMITE": _reversed(_curve(_cubic)),
        "FAKE_CUBIC_HERMITE": _curve(_false_cubic),
        "FAKE_REVERSE_CUBIC_HERMITE": _reversed(_curve(_false_cubic)),
        "ALL_A": (0.0,) * BLOCKS,
        "ALL_B": (1.0,) * (BLOCKS + 1),
    }
)
"""The presets of the merge-block-weighted extension and of SuperMerger; all but ALL_B leave BASE alone."""
