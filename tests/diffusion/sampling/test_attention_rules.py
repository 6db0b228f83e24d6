"""Guidance by attention, a whole run against its formulas written out over the bare network."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.options.attention import Noted
from nodegraph.diffusion.registry import get_sampler
from nodegraph.diffusion.sampling.attention_rules import (
    blurred,
    salient,
    with_perturbed_attention_guidance,
    with_self_attention_guidance,
)
from nodegraph.diffusion.sampling.run import run
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import (
    Area,
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

CONFIG = UNetConfig(
    channels=8, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=12, heads=2, groups=4
)
LEVELS = [6.0, 2.5, 1.0]
MIDDLE = "middle_block.1.transformer_blocks.0.attn1"
TABLE = table_of(DiffusionSchedule())


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    made = UNet(CONFIG).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if ".norm" not in name:
            parameter.normal_(std=0.4 if ".attn" in name else 0.15)
    return made


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


START, POSITIVE, NEGATIVE = draw(2, 4, 10, 14, seed=3) * 6, draw(1, 5, 12, seed=4), draw(1, 5, 12, seed=5)


def clean(network: UNet, x: Tensor, sigma: float, context: Tensor) -> Tensor:
    """Return the clean sample that the network's noise means."""
    step = torch.full((len(x),), float(TABLE.timestep(sigma)))
    noise: Tensor = network(x / (sigma**2 + 1) ** 0.5, step, context.expand(len(x), -1, -1))
    return x - noise * sigma


def by_euler(denoise: Callable[[Tensor, float], Tensor]) -> Tensor:
    x = START
    for sigma, lower in pairwise(LEVELS):
        result = denoise(x, sigma)
        x = result + (x - result) * (lower / sigma)
    return x


def sampled(
    model: Model, cfg: float = 4.0, negative: Conditioning | None = None, positive: Conditioning | None = None
) -> Tensor:
    positive = positive or Conditioning((ConditioningEntry(POSITIVE),))
    negative = Conditioning((ConditioningEntry(NEGATIVE),)) if negative is None else negative
    guider = Guider(model, positive, negative, cfg)
    sampling = run(guider, Latent(START), noise=Noise(silent=True), sampler=get_sampler("euler"), levels=LEVELS)
    return sampling.result().samples


def model_of(network: UNet) -> Model:
    return Model(Placed(network), latent=LatentFormat(scale=1.0))


def kernel(deviation: float) -> Tensor:
    """Return a Gaussian over 9 x 9 cells."""
    places = torch.linspace(-4, 4, 9)
    line = torch.exp(-(places**2) / (2 * deviation**2))
    return torch.outer(line, line) / line.sum() ** 2


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_perturbed_attention_guidance_by_its_formula(network: UNet, cfg: float) -> None:
    changed = deepcopy(network)
    attention = changed.get_submodule(MIDDLE)
    to_v, to_out = attention.get_submodule("to_v"), attention.get_submodule("to_out")
    attention.forward = lambda x, context: to_out(to_v(context))

    def denoise(x: Tensor, sigma: float) -> Tensor:
        positive, negative = clean(network, x, sigma, POSITIVE), clean(network, x, sigma, NEGATIVE)
        return negative + cfg * (positive - negative) + 2.5 * (positive - clean(changed, x, sigma, POSITIVE))

    got = sampled(with_perturbed_attention_guidance(model_of(network), 2.5), cfg)
    torch.testing.assert_close(got, by_euler(denoise), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(got, sampled(model_of(network), cfg), atol=1e-2)


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_self_attention_guidance_by_its_formula(network: UNet, cfg: float) -> None:
    tokens: list[Tensor] = []
    attention = network.get_submodule(MIDDLE)
    to_q, to_k = attention.get_submodule("to_q"), attention.get_submodule("to_k")

    def denoise(x: Tensor, sigma: float) -> Tensor:
        positive = clean(network, x, sigma, POSITIVE)
        handle = attention.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
        negative = clean(network, x, sigma, NEGATIVE)
        handle.remove()
        q, k = (layer(tokens[-1]).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (to_q, to_k))
        weights = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1).mean(1).sum(1)
        mask = functional.interpolate((weights > 1).float().reshape(2, 1, 5, 7), size=(10, 14))
        assert 0.1 < float(mask.mean()) < 0.9
        blur = functional.conv2d(
            functional.pad(negative, (4, 4, 4, 4), mode="reflect"), kernel(1.5).expand(4, 1, 9, 9), groups=4
        )
        degraded = blur * mask + negative * (1 - mask)
        again = clean(network, degraded + x - negative, sigma, NEGATIVE)
        return negative + cfg * (positive - negative) + 0.8 * (degraded - again)

    got = sampled(with_self_attention_guidance(model_of(network), 0.8, 1.5), cfg)
    torch.testing.assert_close(got, by_euler(denoise), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(got, sampled(model_of(network), cfg), atol=1e-2)


def test_no_scale_changes_no_bit(network: UNet) -> None:
    plain = sampled(model_of(network))
    for model in (
        with_self_attention_guidance(model_of(network), 0.0, 2.0),
        with_perturbed_attention_guidance(model_of(network), 0.0),
    ):
        assert torch.equal(sampled(model), plain)


def test_without_a_negative_prompt_there_is_nothing_to_blur(network: UNet) -> None:
    model = with_self_attention_guidance(model_of(network), 0.8, 1.5)
    nothing = Conditioning(())
    assert torch.equal(sampled(model, 1.0, nothing), sampled(model_of(network), 1.0, nothing))


def test_guidance_by_attention_goes_with_prompts_of_areas(network: UNet) -> None:
    """A negative prompt for the left half alone leaves the right half to another one, each with its own attention."""
    model = with_perturbed_attention_guidance(with_self_attention_guidance(model_of(network), 0.8, 1.5), 2.0)
    left = ConditioningEntry(NEGATIVE, area=Area(0, 0, 7, 10))
    both = Conditioning((left, ConditioningEntry(POSITIVE, area=Area(7, 0, 7, 10))))
    results = [
        sampled(model, 4.0, both),
        sampled(model, 4.0, Conditioning((left,))),
        sampled(model_of(network), 4.0, both),
    ]
    assert all(bool(result.isfinite().all()) for result in results)
    assert not torch.allclose(results[0], results[2], atol=1e-2)


def test_what_is_attended_to_in_a_part_is_marked_there() -> None:
    noted = [
        Noted((0, 0, 4, 4), torch.tensor([[[2.0, 0.0], [0.0, 2.0]]])),
        Noted((2, 2, 4, 4), torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])),
    ]
    wanted = torch.zeros(1, 1, 6, 8)
    wanted[..., :2, :2] = wanted[..., 2:4, 2:4] = 1
    assert torch.equal(salient(noted, torch.zeros(1, 4, 6, 8)), wanted)


def test_a_sample_too_small_to_be_blurred_stays(network: UNet) -> None:
    small = Latent(draw(1, 4, 4, 16) * 6)
    runs = [
        run(
            Guider(
                model, Conditioning((ConditioningEntry(POSITIVE),)), Conditioning((ConditioningEntry(NEGATIVE),)), 3.0
            ),
            small,
            noise=Noise(silent=True),
            sampler=get_sampler("euler"),
            levels=LEVELS,
        )
        for model in (model_of(network), with_self_attention_guidance(model_of(network), 0.8, 1.5))
    ]
    assert torch.equal(*(one.result().samples for one in runs))


def test_a_blur_of_no_reach_is_none() -> None:
    assert torch.equal(blurred(START, 0.0), START)


def test_hooks_go_with_the_run(network: UNet) -> None:
    model = with_perturbed_attention_guidance(model_of(network), 2.0)
    guider = Guider(model, Conditioning((ConditioningEntry(POSITIVE),)))
    sampling = run(guider, Latent(START), noise=Noise(silent=True), sampler=get_sampler("euler"), levels=LEVELS)
    next(sampling)
    mix = network.get_submodule(f"{MIDDLE}.mix")
    assert len(mix._forward_hooks) == 1
    sampling.close()
    assert not mix._forward_hooks
