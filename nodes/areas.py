"""Where in the picture a prompt holds, and how strongly."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Step, Widget, node
from nodegraph.diffusion.values import Area, Conditioning, Mask

CELL = 8
"""Pixels that a latent cell stands for along a side, in every model that these nodes serve."""
LEAST = 1e-6
"""A share that is rounded up to one cell."""

Side = Annotated[int, Field(ge=64, le=16384), Step(8)]
Offset = Annotated[int, Field(ge=0, le=16384), Step(8)]
Share = Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")]
Strength = Annotated[float, Field(ge=0, le=10), Step(0.01)]


@node("ConditioningSetArea", title="Conditioning (Set Area)", category="conditioning")
def conditioning_set_area(
    conditioning: Conditioning,
    width: Side = 64,
    height: Side = 64,
    x: Offset = 0,
    y: Offset = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Limit a prompt to a rectangle, given in pixels."""
    area = Area(x // CELL, y // CELL, width // CELL, height // CELL)
    return conditioning.changed(area=area, strength=strength, mask_bounds=False)


@node("ConditioningSetAreaPercentage", title="Conditioning (Set Area with Percentage)", category="conditioning")
def conditioning_set_area_percentage(
    conditioning: Conditioning,
    width: Share = 1.0,
    height: Share = 1.0,
    x: Share = 0,
    y: Share = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Limit a prompt to a rectangle, given as shares of the picture."""
    area = Area(x, y, max(width, LEAST), max(height, LEAST), fraction=True)
    return conditioning.changed(area=area, strength=strength, mask_bounds=False)


@node("ConditioningSetAreaStrength", title="ConditioningSetAreaStrength", category="conditioning")
def conditioning_set_area_strength(conditioning: Conditioning, strength: Strength = 1.0) -> Conditioning:
    """Set how much a prompt counts against the others that hold in the same place."""
    return conditioning.changed(strength=strength)


@node("ConditioningSetMask", title="Conditioning (Set Mask)", category="conditioning")
def conditioning_set_mask(
    conditioning: Conditioning,
    mask: Mask,
    strength: Strength = 1.0,
    *,
    set_cond_area: Literal["default", "mask bounds"],
) -> Conditioning:
    """Limit a prompt to where a mask is 1; `mask bounds` lets the network see only the rectangle around it."""
    bounds = set_cond_area != "default"
    entries = conditioning.entries
    return Conditioning(
        tuple(replace(entry, mask=mask.values, mask_strength=strength, mask_bounds=bounds) for entry in entries)
    )
