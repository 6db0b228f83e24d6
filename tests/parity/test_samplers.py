"""Samplers against k-diffusion's, and Brownian paths against torchsde's."""

from __future__ import annotations

import inspect
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.brownian import BrownianTree
from nodegraph.diffusion.sampling.noise import GaussianNoise
from nodegraph.diffusion.sampling.schedules import karras_levels, polyexponential_levels, vp_levels
from tests.parity.plain import run_reference

torchsde = pytest.importorskip("torchsde")
SAME = ["euler", "heun", "dpm_2", "dpmpp_2m", "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde"]
SAME += ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"]

pytestmark = pytest.mark.filterwarnings("ignore:Should have")  # torchsde, of times rounded in single precision


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
