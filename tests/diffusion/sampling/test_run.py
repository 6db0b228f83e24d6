"""Runs over any noise levels, by a network that knows the data exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.registry import Sampler, get_sampler
from nodegraph.diffusion.sampling.ksampler import scheduled
from nodegraph.diffusion.sampling.run import Sampling, run
from nodegraph.diffusion.sampling.sigmas import flipped
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import (
    Conditioning,
    ConditioningEntry,
    DiffusionSchedule,
    Guider,
    Latent,
    LatentFormat,
    Model,
    Network,
    Noise,
    Placed,
)

MEAN, SPREAD = 0.3, 0.5


class Exact(nn.Module):
    """The noise in samples whose clean ones are N(MEAN, SPREAD^2)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        sigma = table_of(DiffusionSchedule()).sigma(timestep).reshape(-1, 1, 1, 1)
        noisy = x * (sigma**2 + 1) ** 0.5
        clean = (SPREAD**2 * noisy + MEAN * sigma**2) / (SPREAD**2 + sigma**2)
        return (noisy - clean) / sigma


NETWORK = Exact()
MODEL = Model(Placed(NETWORK), latent=LatentFormat(scale=1.0))
GUIDER = Guider(MODEL, Conditioning((ConditioningEntry(torch.ones(1, 3, 4)),)))
FIRST = Noise(1)
PICTURE = Latent(torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * SPREAD + MEAN)


def sampling(levels: Sequence[float], latent: Latent = PICTURE, name: str = "euler", noise: Noise = FIRST) -> Sampling:
    return run(GUIDER, latent, noise=noise, sampler=get_sampler(name), levels=levels)


def test_noise_found_by_rising_levels_leads_back_to_the_picture() -> None:
    errors = []
    for steps in (50, 200):
        levels = scheduled(MODEL.schedule, "exponential", steps)
        found = sampling(flipped(levels), noise=Noise(silent=True)).result()
        assert float(found.samples.std()) > 10
        back = sampling(levels, found, noise=Noise(silent=True)).result()
        errors.append(float((back.samples - PICTURE.samples).norm() / PICTURE.samples.norm()))
    assert errors[0] < 0.1
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(("name", "last"), [("euler", 6), ("dpm_fast", 5), ("dpm_adaptive", 5)])
def test_what_is_done_rises_to_the_level_reached(name: str, last: int) -> None:
    levels = scheduled(MODEL.schedule, "karras", 6)
    run = sampling(levels, name=name)
    assert run.steps == 6
    assert run.done == 0
    done = [run.done for _ in run]
    assert done == sorted(done)
    assert done[-1] == last
    rising = sampling(flipped(levels))
    assert [rising.done for _ in rising] == [1, 2, 3, 4, 5, 6]


def test_levels_that_repeat_are_visited_once() -> None:
    assert [step.sigma for step in sampling([3.0, 3.0, 1.0, 1.0, 0.0])] == [1.0, 0.0]


def test_the_clean_sample_is_that_of_the_last_step() -> None:
    part = sampling([8.0, 4.0, 2.0])
    *_, step = part
    assert torch.equal(part.clean().samples, step.clean)
    assert not torch.allclose(part.clean().samples, part.result().samples, atol=0.1)
    nothing = sampling([])
    assert nothing.result() is nothing.clean() is PICTURE


def test_a_check_that_raises_stops_within_a_step() -> None:
    looks: list[None] = []

    def check() -> None:
        looks.append(None)
        if len(looks) == 3:
            raise KeyboardInterrupt

    levels = scheduled(MODEL.schedule, "karras", 6)
    stopped = run(GUIDER, PICTURE, noise=Noise(1), sampler=get_sampler("euler"), levels=levels, check=check)
    with pytest.raises(KeyboardInterrupt):
        list(stopped)
    assert stopped.done < 6
    assert not NETWORK._forward_pre_hooks


def test_options_go_to_the_sampler() -> None:
    levels = scheduled(MODEL.schedule, "karras", 6)
    plain, silent, none = (
        run(GUIDER, PICTURE, noise=Noise(1), sampler=sampler, levels=levels).result().samples
        for sampler in (
            get_sampler("euler"),
            get_sampler("euler_ancestral").with_options(eta=0.0),
            get_sampler("euler_ancestral"),
        )
    )
    torch.testing.assert_close(plain, silent)
    assert not torch.allclose(plain, none, atol=1e-2)


def test_options_that_a_sampler_has_not_are_refused() -> None:
    for sampler, told in (
        (get_sampler("euler").with_options(eta=1.0), "'euler' has no option 'eta': it takes none"),
        (get_sampler("lms").with_options(path=1), "'lms' has no option 'path': it takes order"),
    ):
        with pytest.raises(ValueError, match=told):
            list(run(GUIDER, PICTURE, noise=Noise(1), sampler=sampler, levels=[1.0, 0.0]))


def test_a_sampler_with_options_is_another_value() -> None:
    sampler = get_sampler("lms")
    changed = sampler.with_options(order=2)
    assert changed != sampler
    assert changed == sampler.with_options(order=2)
    assert changed.with_options(order=4).options == {"order": 4}
    assert isinstance(hash(changed), int)
    assert sampler.options == Sampler("lms", "").options == {}


class Lent(Network[nn.Module]):
    """A network that counts who has it."""

    device, dtype, users = torch.device("cpu"), torch.float32, 0

    @contextmanager
    def lend(self, tell: Callable[[int, int], object] | None = None) -> Iterator[nn.Module]:
        self.users += 1
        try:
            yield NETWORK
        finally:
            self.users -= 1


def test_the_network_is_lent_for_the_steps_and_given_back() -> None:
    network = Lent()
    guider = replace(GUIDER, model=replace(MODEL, network=network))
    levels = scheduled(MODEL.schedule, "karras", 4)
    whole = run(guider, PICTURE, noise=FIRST, sampler=get_sampler("euler"), levels=levels)
    assert network.users == 0
    next(whole)
    assert network.users == 1
    whole.result()
    assert network.users == 0
    stopped = run(guider, PICTURE, noise=FIRST, sampler=get_sampler("euler"), levels=levels)
    next(stopped)
    stopped.close()
    assert network.users == 0
    assert stopped.done == 1
