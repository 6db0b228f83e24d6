"""Samplers against exact solutions for Gaussian data, and against golden values of ComfyUI's."""

import inspect
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.registry import get_sampler, sampler_names
from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, FlowPath, Path, Step
from nodegraph.diffusion.sampling.noise import BrownianNoise, GaussianNoise
from nodegraph.diffusion.sampling.schedules import karras
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule, FlowSchedule

MEAN, SPREAD = 0.3, 0.5  # the data are N(MEAN, SPREAD^2), so the exact denoiser is known

EPS_GOLDEN = {
    "euler": (-0.10853, -0.11798, 0.20339),
    "ddim": (-0.10853, -0.11798, 0.20339),
    "euler_ancestral": (0.07296, 0.32699, 0.01566),
    "heun": (-0.41341, -0.42991, 0.13129),
    "dpm_2": (-0.35277, -0.36787, 0.14562),
    "dpm_2_ancestral": (-0.2384, 0.22332, -0.7377),
    "dpmpp_2s_ancestral": (0.0013, 0.30867, -0.1264),
    "dpmpp_sde": (0.28556, 0.50624, -0.42248),
    "dpmpp_2m": (-0.29648, -0.31028, 0.15894),
    "dpmpp_2m_sde": (0.52524, 0.568, -0.50847),
    "dpmpp_2m_sde_heun": (0.60978, 0.65812, -0.72943),
    "dpmpp_3m_sde": (0.55795, 0.80047, -1.23545),
    "ddpm": (0.07296, 0.32699, 0.01566),
    "lcm": (0.08344, 0.34653, 0.11894),
}
FLOW_GOLDEN = {
    "euler": (0.00955, 0.00271, 0.23536),
    "euler_ancestral": (0.20099, 0.33269, 0.00385),
    "heun": (-0.01826, -0.02576, 0.22916),
    "dpm_2": (-0.01463, -0.02204, 0.22997),
    "dpm_2_ancestral": (0.14686, 0.31746, -0.05218),
    "dpmpp_2s_ancestral": (0.17173, 0.32452, -0.02657),
    "dpmpp_sde": (0.66414, 0.43624, 0.22912),
    "dpmpp_2m": (-0.00876, -0.01603, 0.23128),
    "dpmpp_2m_sde": (0.63976, 0.4019, 0.24425),
    "dpmpp_3m_sde": (0.64567, 0.39683, 0.25615),
    "lcm": (0.31215, 0.3766, 0.10531),
}


def exploding(x: Tensor, sigma: float | Tensor) -> Tensor:
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def flowing(x: Tensor, sigma: float | Tensor) -> Tensor:
    alpha = 1 - sigma
    return MEAN + alpha * SPREAD**2 * (x - alpha * MEAN) / (alpha**2 * SPREAD**2 + sigma**2)


def steps_of(name: str, denoise: Denoiser, x: Tensor, sigmas: Sequence[float], path: Path) -> Iterator[Step]:
    sampler = get_sampler(name)
    function = sampler.resolve()
    levels = [float(sigma) for sigma in sigmas if sigma > 0]
    offered = {"path": path, "noise": GaussianNoise(123)}
    if sampler.noise == "brownian":
        offered["noise"] = BrownianNoise(x.shape, min(levels), max(levels), 123, dtype=x.dtype)
    named = inspect.signature(function).parameters
    return function(denoise, x, sigmas, **{key: value for key, value in offered.items() if key in named})


def last(steps: Iterator[Step]) -> Step:
    return list(steps)[-1]


def test_every_sampler_has_golden_values_here() -> None:
    assert set(EPS_GOLDEN) == {name for name in sampler_names() if not name.endswith("_gpu")}


@pytest.mark.parametrize("name", EPS_GOLDEN)
def test_golden_values_for_diffusion(name: str) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    low, high = 0.0291675 ** (1 / 7), 14.614642 ** (1 / 7)
    sigmas = [*((high + torch.linspace(0, 1, 6) * (low - high)) ** 7).tolist(), 0.0]
    x = last(steps_of(name, exploding, noise * 14.614642, sigmas, VARIANCE_EXPLODING)).x
    assert x.flatten()[:3].tolist() == pytest.approx(EPS_GOLDEN[name], abs=1.5e-5)


@pytest.mark.parametrize("name", FLOW_GOLDEN)
def test_golden_values_for_flow(name: str) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    path = FlowPath(table_of(FlowSchedule(shift=3.0)).percent_to_sigma(1e-4))
    x = last(steps_of(name, flowing, noise, [1.0, 0.9231, 0.8182, 0.6667, 0.4286, 0.0], path)).x
    assert x.flatten()[:3].tolist() == pytest.approx(FLOW_GOLDEN[name], abs=1.5e-5)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpm_2", 2), ("dpmpp_2m", 2)])
def test_the_error_falls_with_the_order_of_the_sampler(name: str, order: int) -> None:
    x = torch.linspace(-8, 8, 9, dtype=torch.float64).reshape(1, 1, 3, 3)
    exact = MEAN + (x - MEAN) * math.sqrt((SPREAD**2 + 0.05**2) / (SPREAD**2 + 8.0**2))
    errors = []
    for steps in (64, 128):
        sigmas = [8.0 * (0.05 / 8.0) ** (i / steps) for i in range(steps + 1)]
        errors.append(float((last(steps_of(name, exploding, x, sigmas, VARIANCE_EXPLODING)).x - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)


STOCHASTIC = [name for name in EPS_GOLDEN if "noise" in inspect.signature(get_sampler(name).resolve()).parameters]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_samplers_draw_from_the_distribution_of_the_data(name: str) -> None:
    if name == "lcm":
        pytest.skip("it draws from the data only through a consistency model")
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 14.614642
    sigmas = karras(table_of(DiffusionSchedule()), 160)
    drawn = last(steps_of(name, exploding, x, sigmas, VARIANCE_EXPLODING)).x
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(drawn.std()) == pytest.approx(SPREAD, abs=0.025)


@pytest.mark.parametrize("name", [name for name in STOCHASTIC if name in FLOW_GOLDEN and name != "lcm"])
def test_stochastic_samplers_draw_from_the_distribution_of_the_data_along_a_flow(name: str) -> None:
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    table = table_of(FlowSchedule(shift=3.0))
    sigmas = table.sigma(1000 * (1 - torch.arange(161) / 160)).tolist()
    drawn = last(steps_of(name, flowing, x, sigmas, FlowPath(table.percent_to_sigma(1e-4)))).x
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(drawn.std()) == pytest.approx(SPREAD, abs=0.025)


@pytest.mark.parametrize("name", EPS_GOLDEN)
def test_a_step_tells_the_level_reached_and_leaves_its_input_alone(name: str) -> None:
    x = torch.full((1, 4, 8, 8), 3.0)
    sigmas = [10.0, 2.0, 0.5, 0.0]
    steps = list(steps_of(name, exploding, x, sigmas, VARIANCE_EXPLODING))
    assert [step.sigma for step in steps] == sigmas[1:]
    assert bool((x == 3.0).all())
    assert len({id(step.x) for step in steps}) == 3
    expected = list(steps_of(name, exploding, x, torch.tensor(sigmas), VARIANCE_EXPLODING))  # type: ignore[arg-type]
    assert all(torch.equal(a.x, b.x) for a, b in zip(steps, expected, strict=True))


@pytest.mark.parametrize("name", EPS_GOLDEN)
def test_the_last_step_to_zero_ends_in_the_clean_sample(name: str) -> None:
    step = last(steps_of(name, exploding, torch.randn(1, 1, 4, 4), [3.0, 1.0, 0.0], VARIANCE_EXPLODING))
    assert torch.equal(step.x, step.clean)
