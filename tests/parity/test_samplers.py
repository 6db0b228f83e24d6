"""Samplers against k-diffusion's, Brownian paths against torchsde's, and whole runs against a plain reproduction."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.configs import UNetConfig
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.brownian import BrownianTree
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.sampling.noise import GaussianNoise
from nodegraph.diffusion.sampling.schedules import karras_levels, normal, polyexponential_levels, vp_levels
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, DiffusionSchedule, Latent, Model, Placed

torchsde = pytest.importorskip("torchsde")
SAME = ["euler", "heun", "dpm_2", "dpmpp_2m", "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde"]
SAME += ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"]

pytestmark = pytest.mark.filterwarnings("ignore:Should have")  # torchsde, of times rounded in single precision


@pytest.fixture(scope="module")
def reference() -> Any:
    """Load k-diffusion's samplers alone: the package itself imports what they do not need."""
    found = find_spec("k_diffusion")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("k-diffusion is not installed")
    package = ModuleType("k_diffusion")
    package.__path__ = list(found.submodule_search_locations)
    names = ("torchdiffeq", "torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    unused = {name: ModuleType(name) for name in names}
    vars(unused["torchdiffeq"])["odeint"] = None
    vars(unused["torchvision.transforms"])["functional"] = unused["torchvision.transforms.functional"]
    with patch.dict(sys.modules, {"k_diffusion": package, **unused}):
        from k_diffusion import sampling

        yield sampling


def run_reference(module: Any, name: str, denoise: Any, x: Tensor, sigmas: Tensor, noise: Any) -> Tensor:
    """Run k-diffusion's sampler with a given source of noise."""
    options: dict[str, Any] = {}
    if name == "dpmpp_2m_sde_heun":
        name, options["solver_type"] = "dpmpp_2m_sde", "heun"
    function = getattr(module, f"sample_{name}")
    if "noise_sampler" in inspect.signature(function).parameters:
        options["noise_sampler"] = noise
    result: Tensor = function(denoise, x, sigmas, disable=True, **options)
    return result


@pytest.mark.parametrize("name", SAME)
def test_a_sampler_is_k_diffusions_in_double_precision(reference: Any, name: str) -> None:
    x, sigmas = start()
    theirs, ours = GaussianNoise(5), GaussianNoise(5)
    wanted = run_reference(reference, name, wavy, x, sigmas, lambda *levels: theirs(x, *map(float, levels)))
    function = get_sampler(name).resolve()
    *_, last = function(wavy, x, sigmas, **({"noise": ours} if takes_noise(name) else {}))
    torch.testing.assert_close(last.x, wanted, rtol=1e-10, atol=1e-10)


OPTIONS: dict[str, dict[str, Any]] = {
    "euler_ancestral": {"eta": 0.6, "s_noise": 0.9},
    "dpm_2_ancestral": {"eta": 0.6, "s_noise": 0.9},
    "dpmpp_2s_ancestral": {"eta": 0.6, "s_noise": 0.9},
    "dpmpp_sde": {"eta": 0.6, "s_noise": 0.9, "r": 0.4},
    "dpmpp_2m_sde": {"eta": 0.6, "s_noise": 0.9},
    "dpmpp_3m_sde": {"eta": 0.6, "s_noise": 0.9},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_samplers_are_k_diffusions(reference: Any, name: str) -> None:
    x, sigmas = start()
    theirs, ours = GaussianNoise(5), GaussianNoise(5)
    function = getattr(reference, f"sample_{name}")
    source = lambda *levels: theirs(x, *map(float, levels))  # noqa: E731
    wanted = function(wavy, x, sigmas, disable=True, noise_sampler=source, **OPTIONS[name])
    *_, last = get_sampler(name).resolve()(wavy, x, sigmas, noise=ours, **OPTIONS[name])
    torch.testing.assert_close(last.x, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_linear_multistep_is_k_diffusions_but_for_the_last_step(reference: Any, order: int) -> None:
    x, sigmas = start()
    wanted = reference.sample_lms(wavy, x, sigmas[:-1], disable=True, order=order)
    *_, last = get_sampler("lms").resolve()(wavy, x, sigmas[:-1], order=order)
    torch.testing.assert_close(last.x, wanted, rtol=1e-4, atol=1e-4)  # its integrals are numeric, to that tolerance


@pytest.mark.parametrize("steps", [3, 4, 5, 9])
def test_dpm_solver_fast_is_k_diffusions(reference: Any, steps: int) -> None:
    x, _ = start()
    levels = torch.logspace(math.log10(14.6), -1.5, steps, dtype=torch.float64).tolist()
    wanted = reference.sample_dpm_fast(wavy, x, levels[-1], levels[0], steps, disable=True)
    *_, last = get_sampler("dpm_fast").resolve()(wavy, x, [*levels, 0.0])
    torch.testing.assert_close(last.x, wanted, rtol=1e-5, atol=1e-5)  # it keeps time in single precision


@pytest.mark.parametrize("options", [{}, {"order": 2}, {"eta": 0.7, "s_noise": 0.9}, {"pcoeff": 0.2, "dcoeff": 0.1}])
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_dpm_solver_adaptive_is_k_diffusions(reference: Any, options: dict[str, float]) -> None:
    x, _ = start()
    low, high = torch.tensor(0.03, dtype=torch.float64), torch.tensor(14.6, dtype=torch.float64)
    theirs, ours = GaussianNoise(5), GaussianNoise(5)
    source = lambda *levels: theirs(x, *map(float, levels))  # noqa: E731
    wanted, info = reference.sample_dpm_adaptive(
        wavy, x, low, high, disable=True, noise_sampler=source, return_info=True, **options
    )
    steps = list(get_sampler("dpm_adaptive").resolve()(wavy, x, [14.6, 1.0, 0.03, 0.0], noise=ours, **options))
    assert len(steps) == info["steps"]
    torch.testing.assert_close(steps[-1].x, wanted, rtol=1e-7, atol=1e-7)


def test_levels_of_custom_schedulers_are_k_diffusions(reference: Any) -> None:
    for ours, theirs in (
        (karras_levels(7, 14.6, 0.03, 5.0), reference.get_sigmas_karras(7, 0.03, 14.6, 5.0)),
        (polyexponential_levels(7, 14.6, 0.03), reference.get_sigmas_exponential(7, 0.03, 14.6)),
        (polyexponential_levels(7, 14.6, 0.03, 2.0), reference.get_sigmas_polyexponential(7, 0.03, 14.6, 2.0)),
        (vp_levels(7, 15.0, 0.2, 0.01), reference.get_sigmas_vp(7, 15.0, 0.2, 0.01)),
    ):
        assert ours == theirs.tolist()


def wavy(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Denoise in some way that is not linear."""
    level = sigma.reshape(-1, 1, 1, 1) if isinstance(sigma, Tensor) else sigma
    return x / (1 + level**2) + 0.3 * torch.sin(2 * x / (1 + level))


def start() -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 14.6
    return x, torch.cat([torch.logspace(math.log10(14.6), -1.5, 9, dtype=torch.float64), torch.zeros(1)])


def takes_noise(name: str) -> bool:
    return "noise" in inspect.signature(get_sampler(name).resolve()).parameters


@pytest.mark.parametrize("seed", [0, 123, 2**63 + 11, 2**64 - 1])
def test_a_brownian_path_is_torchsdes(seed: int) -> None:
    ours = BrownianTree((2, 4, 4), 0.0291675, 14.614642, seed)
    theirs = torchsde.BrownianTree(0.0291675, torch.zeros(2, 4, 4), 14.614642, entropy=seed)
    times = [14.614642, 14.0, 4.7965, 4.796501, 9.000001, 1.2741, 0.2479, 0.0291675]
    for late, early in pairwise(times):
        late, early = max(late, early), min(late, early)
        torch.testing.assert_close(ours(late) - ours(early), theirs(early, late), rtol=1e-5, atol=2e-6)


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

    def schedule(self, name: str, steps: int, module: Any) -> Tensor:
        if name == "karras":
            levels: Tensor = module.get_sigmas_karras(steps, float(self.sigmas[0]), float(self.sigmas[-1]))
            return levels
        times = torch.linspace(999, 0, steps)
        low, high, share = times.floor().long(), times.ceil().long(), times.frac()
        between = [((1 - s) * self.logs[a] + s * self.logs[b]).exp() for a, b, s in zip(low, high, share, strict=True)]
        return torch.stack([*between, torch.zeros(())])

    def __call__(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        if self.mask is not None:
            x = x * self.mask + (self.latent + self.noise * s) * (1 - self.mask)
        time = (sigma.log()[:, None] - self.logs).abs().argmin(1).float()
        seen = x / (s**2 + 1) ** 0.5
        wanted, unwanted = (x - s * self.network(seen, time, c) for c in (self.positive, self.negative))
        clean = unwanted + (wanted - unwanted) * self.cfg
        return clean if self.mask is None else clean * self.mask + self.latent * (1 - self.mask)


def fresh(x: Tensor, draws: torch.Generator, *_: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=draws)


def sample_lcm(plain: Plain, x: Tensor, sigmas: Tensor, draws: torch.Generator) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        x = plain(x, sigma.expand(len(x)))
        if lower > 0:
            x = x + lower * fresh(x, draws)
    return x


def sample_ddpm(plain: Plain, x: Tensor, sigmas: Tensor, draws: torch.Generator) -> Tensor:
    for sigma, lower in pairwise(sigmas):
        noise = (x - plain(x, sigma.expand(len(x)))) / sigma
        product, before = 1 / (sigma**2 + 1), 1 / (lower**2 + 1)
        alpha = product / before
        mean = (x * product.sqrt() - (1 - alpha) * noise / (1 - product).sqrt()) / alpha.sqrt()
        if lower > 0:
            mean += ((1 - alpha) * (1 - before) / (1 - product)).sqrt() * fresh(x, draws)
        x = mean / before.sqrt()
    return x


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    config = UNetConfig(
        channels=32, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(1, 0), context_dim=24, heads=2
    )
    unet = UNet(config).eval().requires_grad_(False)
    for parameter in unet.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.7 / math.sqrt(parameter[0].numel()))
    return unet


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
    sigmas = plain.schedule(scheduler, total + name.startswith("dpm_2"), module)
    if name.startswith("dpm_2"):
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    sigmas = sigmas[-(steps + 1) :]
    torch.manual_seed(77)
    noise, latent = torch.randn(start.shape), start * 0.18215
    if mask is not None:
        plain.mask, plain.latent, plain.noise = mask, latent, noise
        if name == "ddim":
            torch.manual_seed(78)
            plain.noise = torch.randn(start.shape)
    full = math.isclose(float(sigmas[0]), float(plain.sigmas[-1]), rel_tol=1e-5)
    x = latent + noise * (torch.sqrt(1 + sigmas[0] ** 2) if full else sigmas[0])
    draws = torch.Generator().manual_seed(77)
    if name in ("lcm", "ddpm"):
        return {"lcm": sample_lcm, "ddpm": sample_ddpm}[name](plain, x, sigmas, draws) / 0.18215
    source = partial(fresh, x, draws)
    if "_sde" in name:
        source = module.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), 77)
    return run_reference(module, "euler" if name == "ddim" else name, plain, x, sigmas, source) / 0.18215


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


def test_levels_between_two_training_steps_are_told_to_the_network_alike() -> None:
    """With 999 between the ends, every third number of steps puts a level just half-way."""
    plain, table = Plain(torch.zeros_like, POSITIVE, NEGATIVE, 1.0), table_of(DiffusionSchedule())
    for steps in range(2, 120):
        levels = plain.schedule("normal", steps, None)
        assert normal(table, steps) == levels.tolist()
        nearest = (levels[:-1].log()[:, None] - plain.logs).abs().argmin(1)
        assert [int(table.timestep(level)) for level in levels[:-1].tolist()] == nearest.tolist()


@pytest.mark.parametrize(("name", "steps"), [("euler", 3), ("dpm_2_ancestral", 4), ("dpmpp_2s_ancestral", 5)])
def test_runs_over_such_levels_are_the_same(reference: Any, network: UNet, name: str, steps: int) -> None:
    case = (network, name, "normal", torch.zeros(2, 4, 8, 8), steps, 1.0, None)
    assert distance(ours(*case), plain_run(reference, *case)) < 2e-4


def distance(result: Tensor, wanted: Tensor) -> float:
    return float((result - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [*((name, "normal") for name in (*SAME, "ddim", "ddpm", "lcm")), ("euler", "karras"), ("dpmpp_sde", "karras")],
)
def test_a_seed_gives_the_latent_it_gives_elsewhere(reference: Any, network: UNet, name: str, scheduler: str) -> None:
    case = (network, name, scheduler, torch.zeros(2, 4, 8, 8), 6, 1.0, None)
    assert distance(ours(*case), plain_run(reference, *case)) < 2e-4


@pytest.mark.parametrize(("name", "denoise"), [("euler", 0.55), ("dpmpp_2m_sde", 0.3), ("dpm_2", 0.8)])
def test_a_latent_changed_in_part_is_the_same(reference: Any, network: UNet, name: str, denoise: float) -> None:
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(4)) * 5
    case = (network, name, "normal", start, 7, denoise, None)
    assert distance(ours(*case), plain_run(reference, *case)) < 2e-4


@pytest.mark.parametrize("name", ["euler", "ddim", "dpmpp_2m"])
def test_a_masked_latent_is_the_same(reference: Any, network: UNet, name: str) -> None:
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(4)) * 5
    mask = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(5)).round()
    case = (network, name, "normal", start, 6, 0.8, mask)
    result = ours(*case)
    assert distance(result, plain_run(reference, *case)) < 2e-4
    torch.testing.assert_close(result * (1 - mask), start * (1 - mask))
