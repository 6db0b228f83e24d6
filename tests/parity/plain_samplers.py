"""Samplers written out plainly from their formulas, for what no other library here has as ComfyUI has it.

Each takes a denoiser that returns the guided and the unconditional clean sample, and a function that draws noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Both = Callable[[Tensor, float], tuple[Tensor, Tensor]]
Draw = Callable[[], Tensor]
PlainSampler = Callable[[Both, Tensor, list[float], Draw], Tensor]


def ancestral(sigma: float, lower: float, eta: float) -> tuple[float, float]:
    """Return the level to go down to, and how much noise leads back up."""
    up = min(lower, eta * math.sqrt(lower**2 * (sigma**2 - lower**2) / sigma**2))
    return math.sqrt(lower**2 - up**2), up


def lcm(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        x = both(x, sigma)[0]
        if lower > 0:
            x = x + lower * draw()
    return x


def ddpm(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        noise = (x - both(x, sigma)[0]) / sigma
        product, before = 1 / (sigma**2 + 1), 1 / (lower**2 + 1)
        alpha = product / before
        mean = (x * product**0.5 - (1 - alpha) * noise / (1 - product) ** 0.5) / alpha**0.5
        if lower > 0:
            mean += ((1 - alpha) * (1 - before) / (1 - product)) ** 0.5 * draw()
        x = mean / before**0.5
    return x


def euler_cfg_pp(both: Both, x: Tensor, sigmas: list[float], draw: Draw, eta: float = 0.0) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        clean, uncond = both(x, sigma)
        down, up = ancestral(sigma, lower, eta)
        x = clean + down * (x - uncond) / sigma
        if up > 0:
            x = x + up * draw()
    return x


def heunpp2(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    def slope(at: Tensor, sigma: float) -> Tensor:
        return (at - both(at, sigma)[0]) / sigma

    for index, (sigma, lower) in enumerate(pairwise(sigmas)):
        first = slope(x, sigma)
        if lower == 0:
            x = x + first * (lower - sigma)
            continue
        ahead = x + first * (lower - sigma)
        second = slope(ahead, lower)
        lowest = sigmas[index + 2]
        if lowest == 0:
            weight = lower / (2 * sigmas[0])
            mean = first * (1 - weight) + second * weight
        else:
            third = slope(ahead + second * (lowest - lower), lowest)
            two, three = lower / (3 * sigmas[0]), lowest / (3 * sigmas[0])
            mean = first * (1 - two - three) + second * two + third * three
        x = x + mean * (lower - sigma)
    return x


def dpmpp_2m_cfg_pp(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    before, width_before = x, 0.0
    for index, (sigma, lower) in enumerate(pairwise(sigmas)):
        clean, uncond = both(x, sigma)
        if lower == 0:
            x = clean
            continue
        width, fade = math.log(sigma / lower), lower / sigma
        ahead = clean - fade * uncond + fade * x
        if index:
            ahead = ahead - (fade - 1) * width / (2 * width_before) * (clean - before)
        x, before, width_before = ahead, uncond, width
    return x


def dpmpp_2s_ancestral_cfg_pp(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        clean, uncond = both(x, sigma)
        down, up = ancestral(sigma, lower, 1.0)
        if down == 0:
            x = clean
            continue
        middle = math.sqrt(sigma * down)
        half_way = middle / sigma * (x + clean - uncond) + (1 - middle / sigma) * clean
        second, uncond = both(half_way, middle)
        x = down / sigma * (x + clean - uncond) + (1 - down / sigma) * second + up * draw()
    return x


def ipndm(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    weights = [(1,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24)]
    slopes: list[Tensor] = []
    for sigma, lower in pairwise(sigmas):
        clean, _ = both(x, sigma)
        slopes = [(x - clean) / sigma, *slopes][:4]
        mean = sum(weight * slope for weight, slope in zip(weights[len(slopes) - 1], slopes, strict=True))
        x = x + mean * (lower - sigma) if lower > 0 else clean
    return x


def gradient_estimation(both: Both, x: Tensor, sigmas: list[float], draw: Draw, pp: bool = False) -> Tensor:
    before: Tensor | None = None
    for sigma, lower in pairwise(sigmas):
        clean, uncond = both(x, sigma)
        slope = (x - (uncond if pp else clean)) / sigma
        if lower == 0:
            x = clean
            continue
        x = clean + slope * lower if pp else x + slope * (lower - sigma)
        if before is not None:
            x = x + (2.0 - 1) * (slope - before) * (lower - sigma)
        before = slope
    return x


def res_multistep(both: Both, x: Tensor, sigmas: list[float], draw: Draw, eta: float = 0.0, pp: bool = False) -> Tensor:
    before: Tensor | None = None
    down_before = 0.0
    for index, (sigma, lower) in enumerate(pairwise(sigmas)):
        clean, uncond = both(x, sigma)
        followed = uncond if pp else clean
        down, up = ancestral(sigma, lower, eta)
        if before is None or down == 0:
            x = clean + (x - followed) / sigma * down
        else:
            width = math.log(sigma / down)
            back = math.log(down_before / sigmas[index - 1]) / width
            one = (math.exp(-width) - 1) / -width
            two = (one - 1) / -width
            moved = x + (clean - uncond) if pp else x
            x = math.exp(-width) * moved + width * ((one - two / back) * followed + two / back * before)
        if lower > 0 and up > 0:
            x = x + up * draw()
        before, down_before = followed, down
    return x


def er_sde(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    def psi(level: Tensor | float) -> Any:
        return level * ((torch.as_tensor(level, dtype=torch.float64) ** 0.3).exp() + 10)

    kept: list[tuple[float, Tensor, Tensor | None]] = []  # levels, clean samples and their slopes, newest last
    for sigma, lower in pairwise(sigmas):
        clean, _ = both(x, sigma)
        if lower == 0:
            x = clean
            continue
        ratio, width = float(psi(lower) / psi(sigma)), lower - sigma
        ahead, slope = ratio * x + (1 - ratio) * clean, None
        places = lower - torch.arange(200, dtype=torch.float64) * width / 200
        if kept:
            share = float((1 / psi(places)).sum() * -width / 200 * psi(lower))
            slope = (clean - kept[-1][1]) / (sigma - kept[-1][0])
            ahead = ahead + (width + share) * slope
            if kept[-1][2] is not None:
                share = float(((places - sigma) / psi(places)).sum() * -width / 200 * psi(lower))
                bend = (slope - kept[-1][2]) / ((sigma - kept[-2][0]) / 2)
                ahead = ahead + (width**2 / 2 + share) * bend
        kept.append((sigma, clean, slope))
        x = ahead + math.sqrt(max(lower**2 - sigma**2 * ratio**2, 0.0)) * draw()
    return x


def seeds_2(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        clean, _ = both(x, sigma)
        if lower == 0:
            x = clean
            continue
        width, middle = math.log(sigma / lower), math.sqrt(sigma * lower)
        first, second = draw(), draw()
        fresh = math.sqrt(1 - math.exp(-width))
        half_way = middle / sigma * math.exp(-width / 2) * x + (1 - math.exp(-width)) * clean + middle * fresh * first
        later, _ = both(half_way, middle)
        mean = lower / sigma * math.exp(-width) * x + (1 - math.exp(-2 * width)) * later
        x = mean + lower * (math.sqrt(math.exp(-width) - math.exp(-2 * width)) * first + fresh * second)
    return x


def exp_heun_2_x0(both: Both, x: Tensor, sigmas: list[float], draw: Draw) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        clean, _ = both(x, sigma)
        if lower == 0:
            x = clean
            continue
        width, fade = math.log(sigma / lower), lower / sigma
        ahead = fade * x + (1 - fade) * clean
        later, _ = both(ahead, lower)
        x = ahead + (1 - (1 - fade) / width) * (later - clean)
    return x


PLAIN: Mapping[str, PlainSampler] = {
    "lcm": lcm,
    "ddpm": ddpm,
    "euler_cfg_pp": euler_cfg_pp,
    "euler_ancestral_cfg_pp": partial(euler_cfg_pp, eta=1.0),
    "heunpp2": heunpp2,
    "dpmpp_2m_cfg_pp": dpmpp_2m_cfg_pp,
    "dpmpp_2s_ancestral_cfg_pp": dpmpp_2s_ancestral_cfg_pp,
    "ipndm": ipndm,
    "gradient_estimation": gradient_estimation,
    "gradient_estimation_cfg_pp": partial(gradient_estimation, pp=True),
    "res_multistep": res_multistep,
    "res_multistep_cfg_pp": partial(res_multistep, pp=True),
    "res_multistep_ancestral": partial(res_multistep, eta=1.0),
    "res_multistep_ancestral_cfg_pp": partial(res_multistep, eta=1.0, pp=True),
    "er_sde": er_sde,
    "seeds_2": seeds_2,
    "exp_heun_2_x0": exp_heun_2_x0,
}
