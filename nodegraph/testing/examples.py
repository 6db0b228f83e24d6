"""Small values to try nodes with, and other values than a given one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodegraph.engine.spec import MISSING, InputPort, Json
from nodegraph.engine.types import bare, members
from nodegraph.engine.values import MisfitError, Values

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.diffusion.values import Conditioning, Image, Latent, Mask


def image(batch: int = 1, height: int = 8, width: int = 8, channels: int = 3, *, seed: int = 0) -> Image:
    """Return pictures of noise (B, H, W, C), the same for the same seed, which tell what they were drawn from."""
    from nodegraph.diffusion.values import Image, Origin

    return Image(_noise((batch, height, width, channels), seed), tuple(Origin(seed, index) for index in range(batch)))


def mask(batch: int = 1, height: int = 8, width: int = 8, *, seed: int = 0) -> Mask:
    """Return masks of noise (B, H, W), the same for the same seed."""
    from nodegraph.diffusion.values import Mask

    return Mask(_noise((batch, height, width), seed))


def latent(batch: int = 1, height: int = 4, width: int = 4, channels: int = 4, *, seed: int = 0) -> Latent:
    """Return latents of noise (B, C, h, w), the same for the same seed."""
    from nodegraph.diffusion.values import Latent

    return Latent(_noise((batch, channels, height, width), seed) * 2.0 - 1.0)


def conditioning(tokens: int = 77, width: int = 16, *, seed: int = 0) -> Conditioning:
    """Return a prompt whose embedding (1, T, D) is noise, the same for the same seed."""
    from nodegraph.diffusion.values import Conditioning, ConditioningEntry

    return Conditioning((ConditioningEntry(_noise((1, tokens, width), seed) * 2.0 - 1.0),))


def _noise(shape: tuple[int, ...], seed: int) -> Tensor:
    import torch

    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


_MAKERS: dict[str, Callable[[], object]] = {
    "Image": image,
    "Mask": mask,
    "Latent": latent,
    "Conditioning": conditioning,
}


def example(port: InputPort) -> Any:
    """Return a value for an input without a default; `MISSING` where none is known that would do."""
    if port.choices is not None:
        return next(iter(port.choices()), MISSING)
    if port.file is not None or port.body:
        return MISSING
    if not port.type.data and port.type.item is not None:
        item = example(InputPort(port.name, port.type.item))
        return MISSING if item is MISSING else [item, item]
    if not port.type.data:
        names = {getattr(member, "__name__", "") for member in members(port.type.annotation)}
        home = {getattr(member, "__module__", "") for member in members(port.type.annotation)}
        maker = next((make for name, make in _MAKERS.items() if name in names), None)
        known = maker is not None and "nodegraph.diffusion.values" in home
        return MISSING if maker is None or not known else maker()
    schema = port.type.schema or {}
    plain: dict[str, Json] = {"string": "a text", "boolean": True, "integer": 1, "number": 0.5, "None": 1}
    value = plain.get(str(schema.get("type")), MISSING)
    if schema.get("type") == "array":
        item = plain.get(str(schema.get("items", {}).get("type")), MISSING)
        value = MISSING if item is MISSING else [item, item]
    return value if value is MISSING or fits(port, value) else _within(schema)


def fits(port: InputPort, value: Json) -> bool:
    """Tell whether a value may be typed for an input."""
    try:
        Values().check(port, value)
    except MisfitError:
        return False
    return True


def _within(schema: Json) -> Json:
    """Return a number within the bounds of a schema; `MISSING` for anything else."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return MISSING
    return low if low is not None else high


def other(port: InputPort, value: Any) -> Any:
    """Return another value that fits an input; `MISSING` where none is known."""
    if port.file is not None or port.body or not port.type.data or bare(port.type.annotation) is Any:
        return MISSING
    now = None if value is None else port.type.dump(value)
    candidates: list[Json] = []
    if port.choices is not None:
        candidates = [name for name in port.choices() if name != now]
    elif isinstance(now, bool):
        candidates = [not now]
    elif isinstance(now, int):
        step = (port.type.schema or {}).get("multipleOf", 1)
        candidates = [now + step, now - step]
    elif isinstance(now, float) and math.isfinite(now):
        candidates = [now / 2 if now else 0.5, now + 0.01, now - 0.01, now + 1.0]
    elif isinstance(now, str):
        candidates = [f"{now} too", now.swapcase()]
    return next((one for one in candidates if one != now and fits(port, one)), MISSING)
