"""Samplers and options of models against diffusers' schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.denoiser import NetworkDenoiser, at_boundary
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers, of its tensors and numpy 2


def wavy(x: Tensor, sigma: float) -> Tensor:
    """Denoise in some way that is not linear."""
    return x / (1 + sigma**2) + 0.3 * torch.sin(2 * x / (1 + sigma))


@pytest.mark.parametrize(("name", "solver"), [("uni_pc", "bh1"), ("uni_pc_bh2", "bh2")])
def test_unipc_is_diffusers(name: str, solver: str) -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 14.6
    levels = [*torch.logspace(math.log10(14.6), -1.5, 9, dtype=torch.float64).tolist(), 0.001]
    scheduler = diffusers.UniPCMultistepScheduler(solver_order=3, prediction_type="sample", solver_type=solver)
    scheduler.set_timesteps(len(levels) - 1)
    scheduler.sigmas = torch.tensor(levels, dtype=torch.float64)
    noisy = x / math.sqrt(1 + levels[0] ** 2)
    for level, time in zip(levels[:-1], scheduler.timesteps, strict=True):
        clean = wavy(noisy * math.sqrt(1 + level**2), level)
        noisy = scheduler.step(clean, time, noisy, return_dict=False)[0]
    *_, last = get_sampler(name).resolve()(wavy, x, [*levels[:-1], 0.0])
    torch.testing.assert_close(last.x, noisy * math.sqrt(1 + 0.001**2), rtol=1e-6, atol=1e-6)


def test_consistency_models_are_bounded_as_in_diffusers() -> None:
    scheduler = diffusers.LCMScheduler()
    x, clean = (torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for time in (0, 19, 999):
        skip, out = scheduler.get_scalings_for_boundary_condition_discrete(time)
        torch.testing.assert_close(at_boundary(x, clean, torch.tensor([float(time)])), skip * x + out * clean)


def test_distilled_models_know_the_steps_that_diffusers_asks_for() -> None:
    scheduler = diffusers.LCMScheduler(original_inference_steps=50)
    scheduler.set_timesteps(50)
    table = table_of(DiffusionSchedule(stride=20))
    assert [int(table.timestep(level)) for level in table.sigmas.flip(0)] == scheduler.timesteps.tolist()


@pytest.mark.parametrize(("prediction", "theirs"), [("eps", "epsilon"), ("v", "v_prediction"), ("x0", "sample")])
def test_predictions_mean_what_they_mean_in_diffusers(prediction: str, theirs: str) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=theirs
    )
    scheduler.set_timesteps(10)
    scheduler.is_scale_input_called = True
    x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * 14
    sigma = float(scheduler.sigmas[0])
    output = torch.cos(x)
    wanted = scheduler.step(output, scheduler.timesteps[0], x).pred_original_sample
    denoise = NetworkDenoiser(lambda seen, time: output, table_of(DiffusionSchedule()), prediction)  # type: ignore[arg-type]
    torch.testing.assert_close(denoise(x, sigma), wanted, rtol=1e-4, atol=1e-4)
