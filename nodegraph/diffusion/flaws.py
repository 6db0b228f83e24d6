"""What is wrong with latents and pictures at first sight: values that are no numbers, and nothing but black."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

ADVICE = "the networks' precision may be too narrow: try fp32"
SHOWN = 8
"""Pictures of a batch that are named before the rest is counted."""


def latent_flaw(samples: Tensor) -> str | None:
    """Tell what is wrong with latents (B, ...), None where nothing is."""
    return _not_finite(samples, "latents")


def picture_flaw(pixels: Tensor) -> str | None:
    """Tell what is wrong with pictures (B, H, W, C) in [0, 1], None where nothing is."""
    broken = _not_finite(pixels, "pixels")
    if broken is not None or not pixels.numel():
        return broken
    # What a file shows: anything below 1/255 is black there. Alpha has no colour.
    black = (pixels[..., :3] < 1 / 255).flatten(1).all(1).tolist()
    where = [index for index, dark in enumerate(black) if dark]
    return f"{_pictures(where, len(black))} nothing but black" if where else None


def _not_finite(values: Tensor, name: str) -> str | None:
    if bool(values.isfinite().all()):
        return None
    lost = (~values.isfinite()).flatten(1).sum(1).tolist()
    where = [index for index, count in enumerate(lost) if count]
    told = f"{sum(lost):,} of {values.numel():,} {name} are NaN or infinite"
    return f"{_pictures(where, len(lost))} damaged: {told}; {ADVICE}"


def _pictures(where: Sequence[int], count: int) -> str:
    if count == 1:
        return "the picture is"
    if len(where) == count:
        return f"all {count} pictures are"
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    named = ", ".join(str(index + 1) for index in where[:SHOWN])
    return f"picture {named} of {count} is" if len(where) == 1 else f"pictures {named}{more} of {count} are"
