"""A plugin as somebody else would write it."""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from nodegraph import Context, Widget, hookimpl, node
from nodegraph.diffusion.registry import Sampler, Scheduler
from nodegraph.diffusion.values import Image
from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.layouts.sd1 import SD1, UNET
from nodegraph.workers.hooks import Encoded
from nodegraph.workers.routes import Request, Response, Routes
from nodegraph.workers.web import Web

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.diffusion.sampling.contract import Denoiser, Step, Table

events: deque[Any] = deque(maxlen=10_000)
"""What `node_event` was told, for the tests to look at."""


class Parts(NamedTuple):
    """A whole number in parts."""

    quotient: int
    remainder: int


@node("good.Divide", category="good")
def divide(number: int, by: Annotated[int, Field(ge=1)] = 10) -> Parts:
    """Divide a whole number and keep what is left over."""
    return Parts(*divmod(number, by))


@node("good.Count", category="good", version="2", aliases=["good.CountUp"])
def count(context: Context, to: Annotated[int, Field(ge=0, le=100)] = 3) -> list[int]:
    """Count up from zero, telling how far it has come."""
    numbers = []
    for number in range(to):
        context.progress(number + 1, to)
        numbers.append(number)
    return numbers


@node("good.Ramp", category="good")
def ramp(width: Annotated[int, Field(ge=1, le=4096)] = 8, height: Annotated[int, Field(ge=1, le=4096)] = 8) -> Image:
    """Draw a grey ramp from left to right."""
    import torch

    row = torch.linspace(0.0, 1.0, width)
    return Image(row.expand(1, height, width).unsqueeze(-1).expand(-1, -1, -1, 3).contiguous())


def midpoint(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Iterator[Step]:
    """Follow the probability-flow ODE by the midpoint rule."""
    from nodegraph.diffusion.sampling.contract import Step

    for sigma, lower in pairwise(sigmas):
        middle = (sigma + lower) / 2
        clean = denoise(x, sigma)  # (B, C, h, w)
        half = clean + (x - clean) * (middle / sigma)
        clean = denoise(half, middle)
        x = x + (half - clean) / middle * (lower - sigma)
        yield Step(x, clean, lower)


def even(table: Table, steps: int) -> Sequence[float]:
    """Return noise levels at even distances, with zero last."""
    width = (table.sigma_max - table.sigma_min) / max(steps - 1, 1)
    return [*(table.sigma_max - width * step for step in range(steps)), 0.0]


@node("good.Show", category="good", cache=False)
def show(context: Context, number: int = 7) -> int:
    """Show a number in parts, for as long as it takes to be seen."""
    context.preview(divide(number))
    time.sleep(0.3)
    return number


@node("good.Rate", category="good")
def rate(stars: Annotated[int, Field(ge=0, le=5), Widget("good-stars")] = 3) -> int:
    """Give so many stars."""
    return stars


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the nodes."""
    return [divide, count, ramp, show, rate]


@hookimpl
def encode_preview(value: object) -> Encoded | None:
    """Draw a number in parts as a picture of their size."""
    if not isinstance(value, Parts):
        return None
    from PIL import Image as Pillow

    picture, file = Pillow.new("RGB", (value.quotient + 1, value.remainder + 1)), io.BytesIO()
    picture.save(file, format="PNG")
    return Encoded("image/png", *picture.size, file.getvalue())


async def answer(request: Request) -> object:
    """Divide what the path says by what the query says."""
    return divide(int(request.variables["number"]), int(request.query.get("by", 10)))._asdict()


@hookimpl
def register_routes(routes: Routes) -> None:
    """Add the routes."""
    routes.add("GET", "divide/{number}", answer)
    routes.add("POST", "echo", lambda request: Response(body=request.body, media="text/plain", status=201))
    routes.add("GET", "sleep", lambda request: time.sleep(float(request.query["seconds"])))
    routes.static("own", Path(__file__).parent.resolve())
    routes.add("GET", "../escape", answer)


@hookimpl
def register_web() -> Web:
    """Return what the editor loads: an element to choose stars with."""
    return Web(files(__name__) / "web", modules=("stars.js", "none.js"))


@hookimpl
def register_samplers() -> list[Sampler]:
    """Return the sampler."""
    return [Sampler("good_midpoint", midpoint)]


@hookimpl
def register_schedulers() -> list[Scheduler]:
    """Return the scheduler."""
    return [Scheduler("good_even", even)]


@hookimpl
def register_families() -> list[Family]:
    """Return a family: Stable Diffusion 1.x whose denoising network is called otherwise in the file."""
    network = replace(UNET, prefixes=(("good.backbone.", ""),))
    return [replace(SD1, name="good", title="Good Diffusion", parts=(network, *SD1.parts[1:]))]


@hookimpl
def node_event(event: object) -> None:
    """Keep what happens."""
    events.append(event)
