"""KSampler written out plainly, with nothing shared with the code under test but the network."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.sampling.noise import GaussianNoise
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, DiffusionSchedule, Latent, Model, Placed
from tests.parity.plain_samplers import PLAIN


def run_reference(module: Any, name: str, denoise: Any, x: Tensor, sigmas: Tensor, noise: Any) -> Tensor:
    """Run k-diffusion's sampler with a given source of noise."""
    name, options = name.removesuffix("_gpu"), dict[str, Any]()
    if name == "dpmpp_2m_sde_heun":
        name, options["solver_type"] = "dpmpp_2m_sde", "heun"
    function = getattr(module, f"sample_{name}")
    if "noise_sampler" in inspect.signature(function).parameters:
        options["noise_sampler"] = noise
    result: Tensor = function(denoise, x, sigmas, disable=True, **options)
    return result


class Plain:
    """Stable Diffusion's noise levels and guided denoiser, with nothing shared with the code under test."""

    def __init__(self, network: Callable[..., Tensor], positive: Tensor, negative: Tensor, cfg: float) -> None:
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        product = torch.cumprod(1 - betas, 0)
        self.sigmas = (((1 - product) / product) ** 0.5).float()
        self.logs = (((1 - product) / product) ** 0.5).log().float()
        self.network, self.positive, self.negative, self.cfg = network, positive, negative, cfg
        self.mask: Tensor | None = None
        self.latent = self.noise = torch.zeros(())

    def at(self, time: float) -> float:
        """Return the noise level at a time, between two steps of training even in the logarithm."""
        low, share = math.floor(time), time - math.floor(time)
        return float(((1 - share) * self.logs[low] + share * self.logs[min(low + 1, 999)]).exp())

    def schedule(self, name: str, steps: int) -> list[float]:
        low, high = float(self.sigmas[0]), float(self.sigmas[-1])
        match name:
            case "normal":
                levels = [self.at(time) for time in torch.linspace(999, 0, steps).tolist()]
            case "sgm_uniform":
                levels = [self.at(999 * (1 - i / steps)) for i in range(steps)]
            case "simple":
                levels = [float(self.sigmas[999 - int(i * 1000 / steps)]) for i in range(steps)]
            case "ddim_uniform":
                levels = self.sigmas[1 :: 1000 // steps].flip(0).tolist()
            case "karras":
                first, last = high ** (1 / 7), low ** (1 / 7)
                levels = ((first + torch.linspace(0, 1, steps) * (last - first)) ** 7).tolist()
            case "exponential":
                levels = [high * (low / high) ** (i / (steps - 1)) for i in range(steps)]
            case "beta":
                places = beta.ppf(1 - np.linspace(0, 1, steps, endpoint=False), 0.6, 0.6)
                levels = [float(self.sigmas[place]) for place in np.rint(places * 999).astype(int)]
            case "linear_quadratic":
                half = steps // 2
                bend = (1 - 0.025 - 0.025 / half * (steps - half)) / (steps - half) ** 2
                done = [0.025 * i / half + bend * max(i - half, 0) ** 2 for i in range(steps)]
                levels = [(1 - share) * high for share in done]
            case "kl_optimal":
                ends = math.atan(high), math.atan(low)
                levels = [math.tan(ends[0] + i / (steps - 1) * (ends[1] - ends[0])) for i in range(steps)]
            case _:
                raise ValueError(name)
        return [*levels, 0.0]

    def both(self, x: Tensor, sigma: float | Tensor) -> tuple[Tensor, Tensor]:
        """Return the guided and the unconditional clean sample."""
        s = torch.as_tensor(sigma).reshape(-1, 1, 1, 1)
        if self.mask is not None:
            x = x * self.mask + (self.latent + self.noise * s) * (1 - self.mask)
        time = (s.flatten().log()[:, None] - self.logs).abs().argmin(1).float().expand(len(x))
        seen = x / (s**2 + 1) ** 0.5
        wanted, unwanted = (x - s * self.network(seen, time, c) for c in (self.positive, self.negative))
        pair = unwanted + (wanted - unwanted) * self.cfg, unwanted
        if self.mask is not None:
            pair = pair[0] * self.mask + self.latent * (1 - self.mask), pair[1]
        return pair

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        return self.both(x, sigma)[0]


def fresh(x: Tensor, draws: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=draws)


POSITIVE, NEGATIVE = (torch.randn(1, 7, 24, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


def plain_run(
    module: Any,
    network: UNet,
    name: str,
    scheduler: str,
    start: Tensor,
    steps: int,
    denoise: float,
    mask: Tensor | None,
) -> Tensor:
    """Write KSampler out: levels, noise, start, sampler, latent."""
    plain = Plain(network, POSITIVE.expand(2, -1, -1), NEGATIVE.expand(2, -1, -1), cfg=4.0)
    total = steps if denoise == 1.0 else int(steps / denoise)
    drops = name.startswith(("dpm_2", "uni_pc"))
    levels = plain.schedule(scheduler, total + drops)
    if drops:
        del levels[-2]
    if denoise < 1:
        levels = levels[-(steps + 1) :]
    torch.manual_seed(77)
    noise, latent = torch.randn(start.shape), start * 0.18215
    if mask is not None:
        plain.mask, plain.latent, plain.noise = mask, latent, noise
        if name == "ddim":
            torch.manual_seed(78)
            plain.noise = torch.randn(start.shape)
    full = math.isclose(levels[0], float(plain.sigmas[-1]), rel_tol=1e-5)
    x = latent + noise * (torch.tensor(1 + levels[0] ** 2).sqrt() if full else levels[0])
    return sampled(module, name, plain, x, levels) / 0.18215


def sampled(module: Any, name: str, plain: Plain, x: Tensor, levels: list[float]) -> Tensor:
    """Run a sampler: k-diffusion's, diffusers', one written out, or ours, whose golden values are tested."""
    draws = torch.Generator().manual_seed(77)
    draw = partial(fresh, x, draws)
    if name in PLAIN:
        return PLAIN[name](plain.both, x, levels, draw)
    if name.startswith("uni_pc"):
        return unipc(plain, x, levels, name)
    if module is None:
        return own(name, plain, x, levels)
    sigmas = torch.tensor(levels)
    if name in ("dpm_fast", "dpm_adaptive"):
        ends = {"sigma_min": sigmas[-2], "sigma_max": sigmas[0], "disable": True}
        count = {"n": len(levels) - 1} if name == "dpm_fast" else {}
        result: Tensor = getattr(module, f"sample_{name}")(plain, x, **ends, **count)
        return result
    source: Any = lambda *_: draw()  # noqa: E731
    if "_sde" in name:
        source = module.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), 77)
    return run_reference(module, "euler" if name == "ddim" else name, plain, x, sigmas, source)


def own(name: str, plain: Plain, x: Tensor, levels: list[float]) -> Tensor:
    """Run our function of a sampler over the plain denoiser."""
    function = get_sampler(name).resolve()
    offered: dict[str, Any] = {"noise": GaussianNoise(77), "table": table_of(DiffusionSchedule())}
    named = inspect.signature(function).parameters
    denoise = lambda at, sigma: plain.both(at, sigma)[0]  # noqa: E731
    *_, last = function(denoise, x, levels, **{key: value for key, value in offered.items() if key in named})
    return last.x


def unipc(plain: Plain, x: Tensor, levels: list[float], name: str) -> Tensor:
    """Run diffusers' UniPC, which keeps samples at unit variance."""
    import diffusers

    solver = "bh2" if name.endswith("bh2") else "bh1"
    scheduler = diffusers.UniPCMultistepScheduler(solver_order=3, prediction_type="sample", solver_type=solver)
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.sigmas = torch.tensor([*levels[:-1], 0.001])
    noisy = x / math.sqrt(1 + levels[0] ** 2)
    for level, time in zip(levels[:-1], scheduler.timesteps, strict=True):
        clean, _ = plain.both(noisy * math.sqrt(1 + level**2), level)
        noisy = scheduler.step(clean, time, noisy, return_dict=False)[0]
    return noisy * math.sqrt(1 + 0.001**2)


def ours(
    network: UNet, name: str, scheduler: str, start: Tensor, steps: int, denoise: float, mask: Tensor | None
) -> Tensor:
    positive, negative = (Conditioning((ConditioningEntry(each),)) for each in (POSITIVE, NEGATIVE))
    latent = Latent(start, noise_mask=None if mask is None else mask[:, 0])
    run = sample(
        Model(Placed(network)), positive, negative, latent, seed=77, steps=steps, cfg=4.0,
        sampler=name, scheduler=scheduler, denoise=denoise,
    )  # fmt: skip
    return run.result().samples


def distance(result: Tensor, wanted: Tensor) -> float:
    return float((result - wanted).norm() / wanted.norm())
