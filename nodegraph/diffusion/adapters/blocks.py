"""LoRA block weights: another strength for each block of a UNet, in the orders that people share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the names of presets are told by processes that never import torch
    from nodegraph.diffusion.adapters.delta import Changes
    from nodegraph.diffusion.adapters.match import Matched

BASE = "BASE"


def _numbered(kind: str, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{kind}{number:02d}" for number in numbers)


SD1_LORA = (BASE, *_numbered("IN", (1, 2, 4, 5, 7, 8)), "M00", *_numbered("OUT", range(3, 12)))
"""The blocks of Stable Diffusion 1 with attention, which a LoRA changes."""
SD1_ALL = (BASE, *_numbered("IN", range(12)), "M00", *_numbered("OUT", range(12)))
"""All blocks of Stable Diffusion 1, for LoCon and its kin, and for merging models."""
SDXL_LORA = (BASE, *_numbered("IN", (4, 5, 7, 8)), "M00", *_numbered("OUT", range(6)))
SDXL_ALL = (BASE, *_numbered("IN", range(9)), "M00", *_numbered("OUT", range(9)))

ORDERS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {len(order): order for order in (SDXL_LORA, SD1_LORA, SDXL_ALL, SD1_ALL)}
)
"""The order of the blocks by the number of weights given."""


def _preset(base: int, *runs: tuple[int, int]) -> tuple[float, ...]:
    return (float(base), *(float(value) for value, count in runs for _ in range(count)))


PRESETS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "NONE": _preset(0, (0, 16)),
        "ALL": _preset(1, (1, 16)),
        "INS": _preset(1, (1, 3), (0, 13)),
        "IND": _preset(1, (0, 3), (1, 3), (0, 10)),
        "INALL": _preset(1, (1, 6), (0, 10)),
        "MIDD": _preset(1, (0, 3), (1, 8), (0, 5)),
        "OUTD": _preset(1, (0, 7), (1, 4), (0, 5)),
        "OUTS": _preset(1, (0, 11), (1, 5)),
        "OUTALL": _preset(1, (0, 7), (1, 9)),
        "ALL0.5": (0.5,) * 17,
    }
)
"""The presets that people know from the LoRA block weight extension, in the order of `SD1_LORA`."""

_BLOCK = re.compile(r"(?:(?P<way>input|output)_blocks\.(?P<number>\d+)|(?P<middle>middle_block))\.")


def block_of(part: str, name: str) -> str:
    """Return the block that a tensor under LDM's names lies in; `BASE` for text encoders and what is in no block."""
    found = _BLOCK.match(name) if part == "unet" else None
    if found is None:
        return BASE
    if found["middle"]:
        return "M00"
    return f"{'IN' if found['way'] == 'input' else 'OUT'}{int(found['number']):02d}"


def block_weights(given: str | Sequence[float] | Mapping[str, float]) -> dict[str, float]:
    """Return a strength a block: of a preset's name, of numbers parted by commas, or of a table.

    The number of weights tells their order: 12 and 20 are for SDXL, 17 and 26 for Stable Diffusion 1, the shorter ones
    for LoRAs of attention alone. Raises ValueError for others.
    """
    if isinstance(given, Mapping):
        return _checked({name.strip().upper(): float(value) for name, value in given.items()})
    if isinstance(given, str):
        given = PRESETS.get(given.strip().upper(), given)
    values = _numbers(given) if isinstance(given, str) else [float(value) for value in given]
    if len(values) not in ORDERS:
        known = ", ".join(map(str, ORDERS))
        raise ValueError(f"block weights: got {len(values)} numbers, expected {known} or one of {', '.join(PRESETS)}")
    return _checked(dict(zip(ORDERS[len(values)], values, strict=True)))


def weighted(matched: Matched, blocks: str | Sequence[float] | Mapping[str, float]) -> Matched:
    """Return an adapter's changes with a strength of its own for each block; a block not named gets none.

    `blocks` is what `block_weights` takes.
    """
    return replace(matched, entries=weighted_changes(matched.entries, blocks))


def weighted_changes(changes: Changes, blocks: str | Sequence[float] | Mapping[str, float]) -> Changes:
    """Return changes, by part and name, with a strength of its own for each block, as `weighted` does."""
    from nodegraph.diffusion.adapters.delta import Scaled

    weights = block_weights(blocks)
    return {
        part: {
            name: delta if weight == 1.0 else Scaled(delta, weight)
            for name, delta in deltas.items()
            if (weight := weights.get(block_of(part, name), 0.0)) != 0.0
        }
        for part, deltas in changes.items()
    }


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"block weights: got {text!r}, expected numbers parted by commas or one of {', '.join(PRESETS)}"
        ) from error


def _checked(weights: dict[str, float]) -> dict[str, float]:
    for name, value in weights.items():
        if name not in SD1_ALL:
            raise ValueError(f"block weights: no block is named {name!r}: expected some of {', '.join(SD1_ALL)}")
        if not math.isfinite(value):
            raise ValueError(f"block weights: {name} is {value}")
    return weights
