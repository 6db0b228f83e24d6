"""EasyCache: a run with steps left out, against the method written out over the bare network."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options.easy_cache import EasyCache
from nodegraph.diffusion.options.scene import with_option
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.attention_rules import with_perturbed_attention_guidance
from nodegraph.diffusion.sampling.ksampler import scheduled
from nodegraph.diffusion.sampling.run import run
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import (
    Conditioning,
    ConditioningEntry,
    DiffusionSchedule,
    Guider,
    Latent,
    LatentFormat,
    Model,
    Noise,
    Placed,
)

TABLE = table_of(DiffusionSchedule())
LEVELS = list(scheduled(DiffusionSchedule(), "normal", 14))
CFG = 3.0


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


START = draw(2, 4, 16, 24, seed=1) * LEVELS[0]
PROMPTS = [draw(1, 5, 12, seed=2), draw(1, 5, 12, seed=3)]


def conditioning(*numbers: int) -> Conditioning:
    return Conditioning(tuple(ConditioningEntry(PROMPTS[number]) for number in numbers))


def sampled(model: Model, positive: Conditioning | None = None, cfg: float = CFG) -> Tensor:
    guider = Guider(model, positive or conditioning(0), conditioning(1), cfg)
    sampling = run(guider, Latent(START), noise=Noise(silent=True), sampler=get_sampler("euler"), levels=LEVELS)
    return sampling.result().samples


def model_of(network: nn.Module, *options: EasyCache) -> Model:
    return Model(Placed(network), latent=LatentFormat(scale=1.0), options=options)


def calls(network: nn.Module, model: Model, positive: Conditioning | None = None) -> int:
    """Return how often a network is asked in a run."""
    made: list[int] = []
    handle = network.register_forward_pre_hook(lambda module, inputs: made.append(len(inputs[0])))
    sampled(model, positive)
    handle.remove()
    return len(made)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one[:2, :, ::8, ::8] - other[:2, :, ::8, ::8]).abs().mean())


@torch.no_grad()
def by_the_method(network: UNet, threshold: float, start: float, end: float) -> tuple[Tensor, int]:
    """Return the samples and how often the network was asked."""
    x, asked, total = START, 0, 0.0
    seen: Tensor | None = None
    given: Tensor | None = None
    added: Tensor | None = None
    rate: float | None = None
    size: float | None = None
    for sigma, lower in pairwise(LEVELS):
        scaled = (x / (sigma**2 + 1) ** 0.5).repeat(2, 1, 1, 1)
        context = torch.cat([prompt.expand(2, -1, -1) for prompt in PROMPTS])
        active = TABLE.percent_to_sigma(end) < sigma <= TABLE.percent_to_sigma(start)
        changed = difference(scaled, seen) if active and seen is not None else None
        skip = False
        if changed is not None and rate is not None and size is not None:
            total += rate * changed / size
            skip = total < threshold
            total = total if skip else 0.0
        if skip and added is not None:
            output = scaled + added
        else:
            output = network(scaled, torch.full((4,), float(TABLE.timestep(sigma))), context)
            asked += 1
            begun = sigma <= TABLE.percent_to_sigma(start)
            if begun and sigma > TABLE.percent_to_sigma(end):
                if given is not None and changed:
                    rate = difference(output, given) / changed
                seen, given, size = scaled, output, float(output.abs().mean())
            added = output - scaled
        positive, negative = (x - part * sigma for part in output.chunk(2))
        clean = negative + CFG * (positive - negative)
        x = clean + (x - clean) * (lower / sigma)
    return x, asked


@pytest.mark.parametrize(("threshold", "start", "end"), [(0.5, 0.0, 1.0), (0.2, 0.15, 0.95), (2.0, 0.1, 0.6)])
def test_steps_are_left_out_as_the_method_tells(network: UNet, threshold: float, start: float, end: float) -> None:
    model = model_of(network, EasyCache(threshold, start, end))
    expected, asked = by_the_method(network, threshold, start, end)
    assert 2 < asked < len(LEVELS) - 1, "the case shows something"
    assert calls(network, model) == asked
    torch.testing.assert_close(sampled(model), expected, rtol=1e-3, atol=1e-3)


def test_no_threshold_changes_no_bit(network: UNet) -> None:
    assert torch.equal(sampled(model_of(network, EasyCache(0.0))), sampled(model_of(network)))


def test_prompts_of_one_side_are_kept_apart(network: UNet) -> None:
    """With a threshold that lets everything pass, each prompt goes on with what was added to it, not to another."""
    both = conditioning(0, 1)
    model = model_of(network, EasyCache(1e9, 0.0, 1.0))
    assert calls(network, model, both) == 2  # to see what the input does to the output takes two levels
    swapped = conditioning(1, 0)
    torch.testing.assert_close(sampled(model, both), sampled(model, swapped), rtol=1e-3, atol=1e-3)


def test_what_rules_ask_again_is_always_asked(network: UNet) -> None:
    model = with_perturbed_attention_guidance(model_of(network, EasyCache(1e9, 0.0, 1.0)), 1.0)
    assert calls(network, model) == 2 + len(LEVELS) - 1


def test_a_run_remembers_nothing_of_another(network: UNet) -> None:
    model = with_option(model_of(network), EasyCache(0.5, 0.0, 1.0))
    assert torch.equal(sampled(model), sampled(model))


def test_steps_that_are_left_out_are_told_on_request(network: UNet, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        asked = calls(network, model_of(network, EasyCache(0.5, 0.0, 1.0, told=True)))
    assert sum("left out at sigma" in record.message for record in caplog.records) == len(LEVELS) - 1 - asked
