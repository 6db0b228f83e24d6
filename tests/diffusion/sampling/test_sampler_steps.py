"""Samplers against exact solutions for Gaussian data, and against golden values of ComfyUI's."""

import inspect
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.registry import get_sampler, sampler_names
from nodegraph.diffusion.sampling.cfg_pp import euler_alternative_cfg_pp
from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, Denoiser, FlowPath, Path, Step, Table
from nodegraph.diffusion.sampling.noise import BrownianNoise, GaussianNoise
from nodegraph.diffusion.sampling.schedules import karras
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule, FlowSchedule

MEAN, SPREAD = 0.3, 0.5  # the data are N(MEAN, SPREAD^2), so the exact denoiser is known

EPS_GOLDEN = {
    "euler": (-0.10853, -0.11798, 0.20339),
    "ddim": (-0.10853, -0.11798, 0.20339),
    "euler_cfg_pp": (-0.10556, -0.11538, 0.21854),
    "euler_ancestral": (0.07296, 0.32699, 0.01566),
    "euler_ancestral_cfg_pp": (0.07452, 0.33058, 0.01704),
    "heun": (-0.41341, -0.42991, 0.13129),
    "heunpp2": (-0.12038, -0.1301, 0.20058),
    "dpm_2": (-0.35277, -0.36787, 0.14562),
    "dpm_2_ancestral": (-0.2384, 0.22332, -0.7377),
    "lms": (-0.15916, -0.16979, 0.19141),
    "dpmpp_2s_ancestral": (0.0013, 0.30867, -0.1264),
    "dpmpp_sde": (0.28556, 0.50624, -0.42248),
    "dpmpp_2m": (-0.29648, -0.31028, 0.15894),
    "dpmpp_2m_cfg_pp": (-0.27218, -0.28711, 0.22034),
    "dpmpp_2m_sde": (0.52524, 0.568, -0.50847),
    "dpmpp_2m_sde_heun": (0.60978, 0.65812, -0.72943),
    "dpmpp_3m_sde": (0.55795, 0.80047, -1.23545),
    "ddpm": (0.07296, 0.32699, 0.01566),
    "lcm": (0.08344, 0.34653, 0.11894),
    "ipndm": (-0.30879, -0.32287, 0.15603),
    "ipndm_v": (-0.24046, -0.25297, 0.17219),
    "deis": (-0.1999, -0.21146, 0.18178),
    "res_multistep": (-0.35742, -0.37263, 0.14453),
    "res_multistep_cfg_pp": (-0.31608, -0.32918, 0.11639),
    "res_multistep_ancestral": (-0.28347, 0.35958, -0.21248),
    "gradient_estimation": (-0.31133, -0.32547, 0.15543),
    "gradient_estimation_cfg_pp": (-0.2928, -0.30604, 0.14422),
    "er_sde": (-0.0711, -0.00771, -0.1406),
    "seeds_2": (0.18065, 0.72068, 0.41367),
    "seeds_3": (0.59695, 0.95418, -0.31268),
    "sa_solver": (0.41766, 0.26963, -0.36061),
    "sa_solver_pece": (0.39927, 0.2642, -0.37779),
    "uni_pc": (-0.58613, -0.60663, 0.09044),
    "uni_pc_bh2": (-0.43323, -0.45019, 0.1266),
    "dpm_fast": (-0.40349, -0.41977, 0.13363),
    "dpm_adaptive": (-0.28852, -0.3021, 0.16082),
}
FLOW_GOLDEN = {
    "euler": (0.00955, 0.00271, 0.23536),
    "euler_ancestral": (0.20099, 0.33269, 0.00385),
    "heun": (-0.01826, -0.02576, 0.22916),
    "dpm_2": (-0.01463, -0.02204, 0.22997),
    "dpm_2_ancestral": (0.14686, 0.31746, -0.05218),
    "lms": (-0.01054, -0.01785, 0.23088),
    "dpmpp_2s_ancestral": (0.17173, 0.32452, -0.02657),
    "dpmpp_sde": (0.66414, 0.43624, 0.22912),
    "dpmpp_2m": (-0.00876, -0.01603, 0.23128),
    "dpmpp_2m_sde": (0.63976, 0.4019, 0.24425),
    "dpmpp_3m_sde": (0.64567, 0.39683, 0.25615),
    "lcm": (0.31215, 0.3766, 0.10531),
    "ipndm": (-0.00422, -0.01139, 0.23229),
    "deis": (-0.00941, -0.01669, 0.23114),
    "res_multistep": (-0.00999, -0.01729, 0.23101),
    "gradient_estimation": (-0.00682, -0.01404, 0.23171),
    "er_sde": (0.27765, 0.30765, -0.01328),
    "seeds_2": (0.08369, 0.45471, 0.5195),
    "seeds_3": (0.66916, 0.39079, 0.10639),
    "sa_solver": (0.03831, 0.26754, 0.10646),
}


NOT_THERE = [
    "exp_heun_2_x0", "exp_heun_2_x0_sde", "dpmpp_2s_ancestral_cfg_pp", "res_multistep_ancestral_cfg_pp",
]  # fmt: skip
"""Samplers without golden values: other tests here say what they are."""
ALL = [*EPS_GOLDEN, *NOT_THERE]
LEVELS_OF_THEIR_OWN = ["dpm_fast", "dpm_adaptive"]
NEVER_QUITE_CLEAN = [*LEVELS_OF_THEIR_OWN, "uni_pc", "uni_pc_bh2"]


def exploding(x: Tensor, sigma: float | Tensor) -> Tensor:
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def flowing(x: Tensor, sigma: float | Tensor) -> Tensor:
    alpha = 1 - sigma
    return MEAN + alpha * SPREAD**2 * (x - alpha * MEAN) / (alpha**2 * SPREAD**2 + sigma**2)


def steps_of(
    name: str, denoise: Denoiser, x: Tensor, sigmas: Sequence[float], path: Path, uncond: float = 1.0, **options: Any
) -> Iterator[Step]:
    sampler = get_sampler(name)
    function = sampler.resolve()
    levels = [float(sigma) for sigma in sigmas if sigma > 0]
    offered: dict[str, Any] = {"path": path, "noise": GaussianNoise(123), "table": tabulated(path)}
    offered["both"] = lambda x, sigma: (denoise(x, sigma), uncond * denoise(x, sigma))
    if sampler.noise == "brownian":
        offered["noise"] = BrownianNoise(x.shape, min(levels), max(levels), 123, dtype=x.dtype)
    named = inspect.signature(function).parameters
    return function(denoise, x, sigmas, **{key: value for key, value in offered.items() if key in named}, **options)


def tabulated(path: Path) -> Table:
    return table_of(FlowSchedule(shift=3.0) if isinstance(path, FlowPath) else DiffusionSchedule())


def last(steps: Iterator[Step]) -> Step:
    return list(steps)[-1]


def test_every_sampler_has_golden_values_here() -> None:
    assert set(ALL) == {name for name in sampler_names() if not name.endswith("_gpu")}


@pytest.mark.parametrize("name", EPS_GOLDEN)
def test_golden_values_for_diffusion(name: str) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    low, high = 0.0291675 ** (1 / 7), 14.614642 ** (1 / 7)
    sigmas = [*((high + torch.linspace(0, 1, 6) * (low - high)) ** 7).tolist(), 0.0]
    x = last(steps_of(name, exploding, noise * 14.614642, sigmas, VARIANCE_EXPLODING, uncond=0.9)).x
    # The first error that decides the step sizes of `dpm_adaptive` is all rounding.
    tolerance = 1e-4 if name == "dpm_adaptive" else 1.5e-5
    assert x.flatten()[:3].tolist() == pytest.approx(EPS_GOLDEN[name], abs=tolerance)


@pytest.mark.parametrize("name", FLOW_GOLDEN)
def test_golden_values_for_flow(name: str) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    path = FlowPath(table_of(FlowSchedule(shift=3.0)).percent_to_sigma(1e-4))
    x = last(steps_of(name, flowing, noise, [1.0, 0.9231, 0.8182, 0.6667, 0.4286, 0.0], path)).x
    assert x.flatten()[:3].tolist() == pytest.approx(FLOW_GOLDEN[name], abs=1.5e-5)


ORDERS = {
    "euler": 1, "ddim": 1, "euler_cfg_pp": 1, "heun": 2, "heunpp2": 1, "dpm_2": 2, "dpmpp_2m": 2, "dpmpp_2m_cfg_pp": 2,
    "lms": 3, "ipndm": 2, "ipndm_v": 2.5, "deis": 2.5, "res_multistep": 2, "res_multistep_cfg_pp": 2, "dpm_fast": 3,
    "gradient_estimation": 1, "gradient_estimation_cfg_pp": 1, "exp_heun_2_x0": 2, "uni_pc": 2, "uni_pc_bh2": 2,
}  # fmt: skip
"""Orders of convergence; the first steps of multistep samplers, of lower order, take something off theirs."""


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_the_error_falls_with_the_order_of_the_sampler(name: str, order: float) -> None:
    assert order - 0.12 < error_order(name) < order + 0.5


@pytest.mark.parametrize(("name", "order"), [("seeds_2", 2), ("seeds_3", 3), ("sa_solver", 4), ("er_sde", 1)])
def test_the_error_of_a_stochastic_sampler_without_noise_falls_with_its_order(name: str, order: float) -> None:
    options = {"solver_type": "ODE", "max_stage": 1} if name == "er_sde" else {"eta": 0.0}
    assert order - 0.12 < error_order(name, **options) < order + 0.5


def error_order(name: str, **options: Any) -> float:
    """Return the power of the step by which a sampler's error falls."""
    x = torch.linspace(-8, 8, 9, dtype=torch.float64).reshape(1, 1, 3, 3)
    exact = MEAN + (x - MEAN) * math.sqrt((SPREAD**2 + 0.05**2) / (SPREAD**2 + 8.0**2))
    errors = []
    for steps in (62, 125):
        sigmas = [8.0 * (0.05 / 8.0) ** (i / steps) for i in range(steps + 1)]
        end = last(steps_of(name, exploding, x, sigmas, VARIANCE_EXPLODING, **options)).x
        errors.append(float((end - exact).abs().max()))
    return math.log(errors[0] / errors[1]) / math.log(125 / 62)


PLAIN = {
    "euler_cfg_pp": "euler", "euler_ancestral_cfg_pp": "euler_ancestral", "dpmpp_2m_cfg_pp": "dpmpp_2m",
    "res_multistep_cfg_pp": "res_multistep", "res_multistep_ancestral_cfg_pp": "res_multistep_ancestral",
    "gradient_estimation_cfg_pp": "gradient_estimation",
}  # fmt: skip


@pytest.mark.parametrize(("name", "plain"), PLAIN.items())
def test_cfg_pp_is_the_plain_sampler_where_nothing_guides(name: str, plain: str) -> None:
    x = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 9
    sigmas = [9.0, 5.0, 2.0, 1.0, 0.3, 0.0]
    ours, theirs = (last(steps_of(each, exploding, x, sigmas, VARIANCE_EXPLODING)).x for each in (name, plain))
    torch.testing.assert_close(ours, theirs)


def test_dpmpp_2s_ancestral_cfg_pp_is_its_formula() -> None:
    x = wanted = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 9
    sigmas, draws = [9.0, 5.0, 2.0, 0.5, 0.0], GaussianNoise(123)
    for sigma, lower in pairwise(sigmas[:-1]):
        up = math.sqrt(lower**2 * (sigma**2 - lower**2) / sigma**2)
        down = math.sqrt(lower**2 - up**2)
        middle, clean = math.sqrt(sigma * down), exploding(wanted, sigma)
        half_way = middle / sigma * (wanted + clean - 0.8 * clean) + (1 - middle / sigma) * clean
        second = exploding(half_way, middle)
        wanted = down / sigma * (wanted + clean - 0.8 * second) + (1 - down / sigma) * second
        wanted = wanted + up * draws(wanted, sigma, lower)
    wanted = exploding(wanted, 0.5)
    ours = last(steps_of("dpmpp_2s_ancestral_cfg_pp", exploding, x, sigmas, VARIANCE_EXPLODING, uncond=0.8))
    torch.testing.assert_close(ours.x, wanted)


def test_the_other_euler_cfg_pp_moves_x_to_the_unconditional_sample_first() -> None:
    x = torch.full((1, 1, 1, 1), 6.0)
    first, second = euler_alternative_cfg_pp(exploding, x, [2.0, 1.0, 0.0], both=lambda x, sigma: (x / 2, x / 3))
    assert float(first.x) == pytest.approx(6.0 + (6.0 - 3.0 + 2.0 - 3.0) / 2 * (1 - 2))
    assert float(second.x) == pytest.approx(2 * float(first.x) / 2 - float(first.x) / 3)


ELSEWHERE = {
    "lcm": "it draws from the data only through a consistency model",
    "dpm_adaptive": "it adds no noise unless told to",
    "dpmpp_2s_ancestral_cfg_pp": "its contrast is low by design",
}
STOCHASTIC = [name for name in ALL if "noise" in inspect.signature(get_sampler(name).resolve()).parameters]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_samplers_draw_from_the_distribution_of_the_data(name: str) -> None:
    if name in ELSEWHERE:
        pytest.skip(ELSEWHERE[name])
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


@pytest.mark.parametrize("name", [name for name in ALL if name not in LEVELS_OF_THEIR_OWN])
def test_a_step_tells_the_level_reached_and_leaves_its_input_alone(name: str) -> None:
    x = torch.full((1, 4, 8, 8), 3.0)
    sigmas = [10.0, 2.0, 0.5, 0.0]
    steps = list(steps_of(name, exploding, x, sigmas, VARIANCE_EXPLODING))
    assert [step.sigma for step in steps] == sigmas[1:]
    assert bool((x == 3.0).all())
    assert len({id(step.x) for step in steps}) == 3
    expected = list(steps_of(name, exploding, x, torch.tensor(sigmas), VARIANCE_EXPLODING))  # type: ignore[arg-type]
    assert all(torch.equal(a.x, b.x) for a, b in zip(steps, expected, strict=True))


@pytest.mark.parametrize("name", [name for name in ALL if name not in NEVER_QUITE_CLEAN])
def test_the_last_step_to_zero_ends_in_the_clean_sample(name: str) -> None:
    step = last(steps_of(name, exploding, torch.randn(1, 1, 4, 4), [3.0, 1.0, 0.0], VARIANCE_EXPLODING))
    assert torch.equal(step.x, step.clean)


@pytest.mark.parametrize("name", [name for name in ALL if name != "dpm_adaptive"])
def test_rising_levels_lead_to_noise(name: str) -> None:
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * SPREAD + MEAN
    end = last(steps_of(name, exploding, x, [0.0001, 0.3, 1.0, 3.0, 9.0], VARIANCE_EXPLODING)).x
    assert bool(end.isfinite().all())


def test_dpm_adaptive_refuses_rising_levels_and_other_orders() -> None:
    with pytest.raises(ValueError, match=r"levels from 0.1 up to 9.0, expected them to fall"):
        list(steps_of("dpm_adaptive", exploding, torch.ones(1, 1, 2, 2), [0.1, 9.0], VARIANCE_EXPLODING))
    with pytest.raises(ValueError, match="order: got 4, expected 2 or 3"):
        list(steps_of("dpm_adaptive", exploding, torch.ones(1, 1, 2, 2), [9.0, 0.1], VARIANCE_EXPLODING, order=4))
