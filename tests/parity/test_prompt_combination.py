"""Whole runs with several prompts, areas, masks and ranges of time, against the rules written out plainly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, Latent, Model, Placed

SIDE, STEPS, SEED = 16, 6, 77
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
PRODUCT = torch.cumprod(1 - BETAS, 0)
LOGS = ((1 - PRODUCT) / PRODUCT).sqrt().log().float()
CORNER, EDGE = (0, 4, 12, 8), (4, 8, 8, 8)  # y, x, height, width
MASK = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(9))


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt by the seed of its embedding, and what limits it."""

    words: int
    area: tuple[int, int, int, int] | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0

    @property
    def embedding(self) -> Tensor:
        return torch.randn(1, 7, 24, generator=torch.Generator().manual_seed(self.words))

    def entry(self) -> ConditioningEntry:
        y, x, height, width = self.area or (0, 0, 1, 1)
        area = None if self.area is None else Area(x, y, width, height)
        return ConditioningEntry(
            self.embedding, area=area, strength=self.strength, mask=self.mask, start=self.start, end=self.end
        )


def sigma_at(done: float) -> float:
    if done <= 0 or done >= 1:
        return math.inf if done <= 0 else 0.0
    place = (1 - done) * 999
    share = place % 1
    return float(torch.exp((1 - share) * LOGS[int(place)] + share * LOGS[math.ceil(place)]))


@cache
def weight(prompt: Prompt) -> Tensor:
    """Return a prompt's weight (SIDE, SIDE); an area's fades over a quarter of it where it does not touch the edge."""
    y, x, height, width = prompt.area or (0, 0, SIDE, SIDE)
    whole = torch.zeros(SIDE, SIDE)
    for row in range(y, y + height):
        for column in range(x, x + width):
            value = prompt.strength if prompt.mask is None else prompt.strength * float(prompt.mask[0, row, column])
            for at, start, size in ((row, y, height), (column, x, width)):
                fade = min(8, size // 4)
                if prompt.area and prompt.mask is None and fade:
                    value *= min(1.0, (at - start + 1) / fade) if start else 1.0
                    value *= min(1.0, (start + size - at) / fade) if start + size < SIDE else 1.0
            whole[row, column] = value
    return whole


def clean_side(network: UNet, prompts: Sequence[Prompt], x: Tensor, sigma: float) -> Tensor:
    time = (LOGS - math.log(sigma)).abs().argmin().float().expand(len(x))
    total, weights = torch.zeros_like(x), torch.full_like(x, 1e-37)
    for prompt in prompts:
        if not sigma_at(prompt.end) <= sigma <= sigma_at(prompt.start):
            continue
        top, left, height, width = prompt.area or (0, 0, SIDE, SIDE)
        place = (..., slice(top, top + height), slice(left, left + width))
        noise = network(x[place] / math.sqrt(sigma**2 + 1), time, prompt.embedding.expand(len(x), -1, -1))
        total[place] += (x[place] - sigma * noise) * weight(prompt)[place]
        weights[place] += weight(prompt)[place]
    return total / weights


@torch.no_grad()
def plain_run(
    network: UNet, positive: Sequence[Prompt], negative: Sequence[Prompt], cfg: float, start: Tensor, keep: Tensor
) -> Tensor:
    """Write out an Euler run that keeps the latent where `keep` is 1."""
    sigmas = [sigma_at(1 - float(time) / 999) if time < 999 else float(LOGS[-1].exp()) for time in
              torch.linspace(999, 0, STEPS)[:-1]] + [float(LOGS[0].exp()), 0.0]  # fmt: skip
    torch.manual_seed(SEED)
    latent, noise = start * 0.18215, torch.randn(start.shape)
    x = latent + noise * math.sqrt(1 + sigmas[0] ** 2)
    for sigma, lower in pairwise(sigmas):
        seen = x * (1 - keep) + (latent + noise * sigma) * keep
        clean = clean_side(network, positive, seen, sigma)
        if cfg != 1.0:
            avoided = clean_side(network, negative, seen, sigma)
            clean = avoided + (clean - avoided) * cfg
        clean = clean * (1 - keep) + latent * keep
        x = x + (x - clean) / sigma * (lower - sigma)
    return x / 0.18215


P, N = Prompt(1), Prompt(2)
IN_EDGE = Prompt(3, EDGE, 1.5)
CASES: dict[str, tuple[list[Prompt], list[Prompt], list[Prompt], list[Prompt]]] = {
    # positive and negative as given; the same as sampling must take them: each area on both sides
    "strengths": ([P, Prompt(3, strength=2.5)], [N], [P, Prompt(3, strength=2.5)], [N]),
    "area to follow": ([P, IN_EDGE], [N], [P, IN_EDGE], [N, Prompt(2, EDGE, 1.5)]),
    "area to avoid": ([P], [N, IN_EDGE], [P, Prompt(1, EDGE, 1.5)], [N, IN_EDGE]),
    "only an area": ([Prompt(1, CORNER)], [N], [Prompt(1, CORNER)], [N, Prompt(2, CORNER)]),
    "areas of both": (
        [P, Prompt(3, CORNER)],
        [N, Prompt(4, EDGE)],
        [P, Prompt(3, CORNER), Prompt(1, EDGE)],
        [N, Prompt(4, EDGE), Prompt(2, CORNER)],
    ),
    "mask": ([P, Prompt(3, mask=MASK, strength=2.0)], [N], [P, Prompt(3, mask=MASK, strength=2.0)], [N]),
    "one after another": (
        [Prompt(1, end=0.35), Prompt(3, start=0.35)],
        [N],
        [Prompt(1, end=0.35), Prompt(3, start=0.35)],
        [N],
    ),
    "area for a time": (
        [P, Prompt(3, EDGE, start=0.25, end=0.65)],
        [N],
        [P, Prompt(3, EDGE, start=0.25, end=0.65)],
        [N, Prompt(2, EDGE, start=0.25, end=0.65)],
    ),
}


@pytest.mark.parametrize("inpaint", [False, True], ids=["whole", "inpaint"])
@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize("case", CASES)
def test_prompts_are_combined_as_elsewhere(network: UNet, case: str, cfg: float, inpaint: bool) -> None:
    positive, negative, followed, avoided = CASES[case]
    shape, generator = (2, 4, SIDE, SIDE), torch.Generator().manual_seed(4)
    start = torch.randn(shape, generator=generator) * 5 if inpaint else torch.zeros(shape)
    mask = torch.rand(1, SIDE, SIDE, generator=generator).round() if inpaint else torch.ones(1, SIDE, SIDE)
    wishes, fears = (Conditioning(tuple(prompt.entry() for prompt in side)) for side in (positive, negative))
    run = sample(
        Model(Placed(network)), wishes, fears, Latent(start, noise_mask=mask if inpaint else None),
        seed=SEED, steps=STEPS, cfg=cfg, sampler="euler", scheduler="normal",
    )  # fmt: skip
    wanted = plain_run(network, followed, avoided, cfg, start, 1 - mask)
    assert float((run.result().samples - wanted).norm() / wanted.norm()) < 2e-4
