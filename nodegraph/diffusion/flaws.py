"""What is wrong with latents and pictures at first sight: values that are no numbers, and nothing but black."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

ADVICE = "the networks' precision may be too narrow: try fp32"
SHOWN = 8
"""Pictures of a batch that are named before the rest is counted."""


def latent_flaw(samples: Tensor, check: Callable[[], object] | None = None) -> str | None:
    """Tell what is wrong with latents (B, ...), None where nothing is; `check` may raise to stop between pictures."""
    lost = [_not_finite(one, check) for one in samples]
    return _damaged(lost, samples, "latents")


def picture_flaw(pixels: Tensor, check: Callable[[], object] | None = None) -> str | None:
    """Tell what is wrong with pictures (B, H, W, C) in [0, 1], None where nothing is; `check` as above."""
    lost = [_not_finite(one, check) for one in pixels]
    if any(lost):
        return _damaged(lost, pixels, "pixels")
    # What a file shows: anything below 1/255 is black there. Alpha has no colour.
    dark = [bool(one.numel()) and bool(one[..., :3].max() < 1 / 255) for one in pixels]
    where = [index for index, black in enumerate(dark) if black]
    return f"{_pictures(where, len(dark))} nothing but black" if where else None


def _not_finite(one: Tensor, check: Callable[[], object] | None) -> int:
    if check is not None:
        check()
    return 0 if bool(one.isfinite().all()) else int((~one.isfinite()).sum())


def _damaged(lost: Sequence[int], values: Tensor, name: str) -> str | None:
    where = [index for index, count in enumerate(lost) if count]
    if not where:
        return None
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
