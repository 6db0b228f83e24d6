"""Whole runs of a network, from seed to latent, against a plain reproduction: every sampler, every scheduler."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.registry import BUILT_IN
from nodegraph.diffusion.sampling.schedules import normal
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule
from tests.parity.plain import NEGATIVE, POSITIVE, Plain, distance, ours, plain_run

pytest.importorskip("torchsde")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Should have"),  # torchsde, of times rounded in single precision
    pytest.mark.filterwarnings("ignore:To copy construct"),  # k-diffusion
    pytest.mark.filterwarnings("ignore:__array__ implementation"),  # diffusers, of its tensors and numpy 2
]

BY_GOLDEN_VALUES = ["deis", "ipndm_v", "seeds_3", "sa_solver", "sa_solver_pece", "exp_heun_2_x0_sde"]
"""What is compared with our own function of samples: its steps are tested by golden values or its distribution."""


def test_levels_between_two_training_steps_are_told_to_the_network_alike() -> None:
    """With 999 between the ends, every third number of steps puts a level just half-way."""
    plain, table = Plain(torch.zeros_like, POSITIVE, NEGATIVE, 1.0), table_of(DiffusionSchedule())
    for steps in range(2, 120):
        levels = plain.schedule("normal", steps)
        assert normal(table, steps) == levels
        nearest = (torch.tensor(levels[:-1]).log()[:, None] - plain.logs).abs().argmin(1)
        assert [int(table.timestep(level)) for level in levels[:-1]] == nearest.tolist()


@pytest.mark.parametrize(("name", "steps"), [("euler", 3), ("dpm_2_ancestral", 4), ("dpmpp_2s_ancestral", 5)])
def test_runs_over_such_levels_are_the_same(reference: Any, network: UNet, name: str, steps: int) -> None:
    case = (network, name, "normal", torch.zeros(2, 4, 8, 8), steps, 1.0, None)
    assert distance(ours(*case), plain_run(reference, *case)) < 2e-4


@pytest.mark.parametrize("name", [name for name in BUILT_IN.samplers if name not in BY_GOLDEN_VALUES])
def test_a_seed_gives_the_latent_it_gives_elsewhere(reference: Any, network: UNet, name: str) -> None:
    case = (network, name, "normal", torch.zeros(2, 4, 8, 8), 6, 1.0, None)
    assert distance(ours(*case), plain_run(reference, *case)) < 2e-4


@pytest.mark.parametrize("name", BY_GOLDEN_VALUES)
def test_a_sampler_with_golden_values_is_guided_and_seeded_as_elsewhere(network: UNet, name: str) -> None:
    case = (network, name, "normal", torch.zeros(2, 4, 8, 8), 6, 1.0, None)
    assert distance(ours(*case), plain_run(None, *case)) < 2e-4


@pytest.mark.parametrize(
    ("name", "scheduler"), [*(("euler", name) for name in BUILT_IN.schedulers), ("dpmpp_sde", "karras")]
)
def test_each_scheduler_leads_to_the_latent_it_leads_to_elsewhere(
    reference: Any, network: UNet, name: str, scheduler: str
) -> None:
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
