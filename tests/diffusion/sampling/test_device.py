"""Sampling on an accelerator: same picture as on the CPU, and no step waits for the device."""

import inspect
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.registry import get_sampler, sampler_names
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.sampling.run import Sampling
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, Latent, Model, Placed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
POSITIVE, NEGATIVE = (Conditioning((ConditioningEntry(torch.full((1, 7, 8), value)),)) for value in (1.0, -1.0))
STEPS = {"dpm_fast": 2}
"""How many steps a run over five takes, where it is not five."""
WAITING = {"dpm_adaptive"}
"""Samplers whose next step depends on how the last one went."""


def draws_on_device(name: str) -> bool:
    """Tell whether a sampler's noise is drawn on the device, with other numbers than on the CPU."""
    sampler = get_sampler(name)
    takes_noise = "noise" in inspect.signature(sampler.resolve()).parameters
    return takes_noise and sampler.noise != "brownian" and name not in WAITING


class Bend(nn.Module):
    """Predict noise from x and the prompt, not linearly."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.9))

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        return torch.tanh(x * self.weight + 0.1 * context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1))


@pytest.fixture
def refuse_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def run(sampler: str, device: str) -> Sampling:
    mask = torch.ones(1, 16, 16)
    mask[:, :4] = 0
    return sample(
        Model(Placed(Bend().to(device))), POSITIVE, NEGATIVE, Latent(torch.ones(1, 4, 16, 16), noise_mask=mask),
        seed=3, steps=5, cfg=4.0, sampler=sampler, scheduler="karras",
    )  # fmt: skip


@pytest.mark.parametrize("sampler", [name for name in sampler_names() if name not in WAITING])
def test_no_step_waits_for_the_device(sampler: str, request: pytest.FixtureRequest) -> None:
    sampling = run(sampler, "cuda")
    next(sampling)
    request.getfixturevalue("refuse_waiting")
    for _ in range(STEPS.get(sampler, 5) - 1):
        assert next(sampling).x.device.type == "cuda"


@pytest.mark.parametrize("sampler", [name for name in sampler_names() if not draws_on_device(name)])
def test_a_device_gives_the_picture_of_the_cpu(sampler: str) -> None:
    result = run(sampler, "cuda").result().samples
    assert result.device.type == "cpu"
    torch.testing.assert_close(result, run(sampler, "cpu").result().samples, rtol=1e-3, atol=1e-3)
