"""The networks by themselves: sizes, precision, gradients, what their inputs may be."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig, sinusoid
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig, Posterior

UNET = UNetConfig(
    channels=16, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=12, heads=2, groups=8
)
VAE = AutoencoderConfig(channels=16, channel_multipliers=(1, 2), res_blocks=1, groups=8)
CLIP = ClipTextConfig(vocabulary=50, length=16, width=16, layers=2, heads=2, mlp_width=32, end_token=49)


def seeded(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


def unet_inputs(height: int = 8, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, height, width, generator=generator)
    return x, torch.tensor([10.0, 500.5]), torch.randn(2, 5, 12, generator=generator)


@pytest.mark.parametrize(
    ("network", "config", "tensors", "parameters"),
    [
        (UNet, UNetConfig(), 686, 859_520_964),
        (Autoencoder, AutoencoderConfig(), 248, 83_653_863),
        (ClipText, ClipTextConfig(), 196, 123_060_480),
    ],
    ids=["unet", "vae", "clip"],
)
def test_defaults_are_stable_diffusion_1(
    network: Callable[[object], nn.Module], config: object, tensors: int, parameters: int
) -> None:
    with torch.device("meta"):
        state = network(config).state_dict()
    assert len(state) == tensors
    assert sum(tensor.numel() for tensor in state.values()) == parameters


def test_sinusoid_is_cosines_then_sines_of_fractional_times_in_float32() -> None:
    waves = sinusoid(torch.tensor([0.0, 12.5], dtype=torch.float64), 6)
    assert waves.dtype == torch.float32
    frequencies = [1.0, 10000 ** (-1 / 3), 10000 ** (-2 / 3)]
    expected = [math.cos(12.5 * f) for f in frequencies] + [math.sin(12.5 * f) for f in frequencies]
    torch.testing.assert_close(waves[1], torch.tensor(expected), rtol=0, atol=1e-5)
    assert waves[0].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 3)])
@torch.no_grad()
def test_unet_keeps_the_size_of_any_latent(size: tuple[int, int]) -> None:
    x, timestep, context = unet_inputs(*size)
    assert seeded(UNet(UNET))(x, timestep, context).shape == (2, 4, *size)


@torch.no_grad()
def test_each_sample_of_a_batch_is_predicted_alone() -> None:
    network = seeded(UNet(UNET))
    x, timestep, context = unet_inputs()
    alone = network(x[1:], timestep[1:], context[1:])
    torch.testing.assert_close(network(x, timestep, context)[1:], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_unet_answers_alike_in_bf16() -> None:
    network = seeded(UNet(UNET))
    x, timestep, context = unet_inputs()
    exact = network(x, timestep, context)
    half = network.to(torch.bfloat16)(x.bfloat16(), timestep, context.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.03 * exact.norm()


@torch.no_grad()
def test_autoencoder_answers_alike_in_bf16() -> None:
    network = seeded(Autoencoder(VAE))
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    exact = network(images)
    half = network.to(torch.bfloat16)(images.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.03 * exact.norm()


def test_unet_starts_by_predicting_nothing_and_learns() -> None:
    torch.manual_seed(0)
    network = UNet(UNET)
    x, timestep, context = unet_inputs()
    assert not network(x, timestep, context).any()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = (network(x, timestep, context) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["unet", "vae", "clip"])
def test_gradients_reach_every_parameter(name: str) -> None:
    output: Tensor
    if name == "unet":
        network = seeded(UNet(UNET))
        output = network(*unet_inputs())
    elif name == "vae":
        network = seeded(Autoencoder(VAE))
        output = network(torch.rand(1, 3, 8, 8))
    else:
        network = seeded(ClipText(CLIP))
        output = network(torch.arange(16)[None]).last
    output.square().sum().backward()
    dead = [key for key, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    # A key's bias shifts all scores of a query alike, so softmax cancels it; log variances do not reach the mode.
    assert [key for key in dead if not key.endswith(("k_proj.bias", "attn_1.k.bias"))] == []


@torch.no_grad()
def test_text_does_not_see_what_follows() -> None:
    network = seeded(ClipText(CLIP))
    first = torch.arange(16)[None]
    second = first.clone()
    second[0, 10:] = 30
    before, after = network(first).last, network(second).last
    torch.testing.assert_close(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


@torch.no_grad()
def test_pooled_text_is_the_first_end_token() -> None:
    network = seeded(ClipText(CLIP))
    tokens = torch.tensor([[1, 2, 49, 49], [49, 3, 4, 5], [1, 2, 3, 4]])
    output = network(tokens)
    expected = torch.stack([output.last[0, 2], output.last[1, 0], output.last[2, 0]])
    torch.testing.assert_close(output.pooled, expected)


@torch.no_grad()
def test_given_embeddings_stand_in_for_the_tokens() -> None:
    network = ClipText(CLIP)
    seeded(network)
    tokens = torch.tensor([[1, 2, 3, 49]])
    vectors = network.text_model.embeddings.token_embedding(tokens)
    torch.testing.assert_close(network(tokens, vectors).last, network(tokens).last)
    vectors[0, 1, 0] += 1
    assert not torch.allclose(network(tokens, vectors).last, network(tokens).last)


@torch.no_grad()
def test_normalize_turns_the_last_hidden_layer_into_the_result() -> None:
    network = ClipText(CLIP)
    seeded(network)
    output = network(torch.tensor([[1, 2, 49]]))
    assert len(output.hidden) == CLIP.layers + 1
    torch.testing.assert_close(network.normalize(output.hidden[-1]), output.last)


@torch.no_grad()
def test_latents_are_drawn_by_the_generator_around_the_mode() -> None:
    posterior = Posterior(torch.full((1, 4, 32, 32), 3.0), torch.full((1, 4, 32, 32), math.log(0.25)))
    draws = [posterior.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert draws[0].mean().item() == pytest.approx(3.0, abs=0.05)
    assert draws[0].std().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(posterior.mode(), posterior.mean)


def test_autoencoder_divides_sides_by_its_downscale() -> None:
    config = AutoencoderConfig(channels=16, channel_multipliers=(1, 2, 2), res_blocks=1, groups=8)
    assert config.downscale == 4
    assert Autoencoder(config).encode(torch.zeros(1, 3, 24, 16)).mean.shape == (1, 4, 6, 4)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: UNetConfig(transformer_depths=(1, 1)), "transformer_depths has 2 entries, channel_multipliers 4"),
        (lambda: UNetConfig(channels=48), "groups=32 does not divide the width 48"),
        (lambda: UNetConfig(heads=7), "heads=7 does not divide the width 320"),
        (lambda: UNetConfig(head_dim=48), "head_dim=48 does not divide the width 320"),
        (lambda: AutoencoderConfig(channel_multipliers=()), "channel_multipliers is empty"),
        (lambda: AutoencoderConfig(groups=0), "groups=0"),
        (lambda: ClipTextConfig(heads=5), "heads=5 does not divide the width 768"),
        (lambda: ClipTextConfig(activation="relu"), "'relu'"),  # type: ignore[arg-type]
    ],
)
def test_impossible_configurations_are_refused(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_heads_are_a_number_or_a_size() -> None:
    assert [UNetConfig().heads_at(width) for width in (320, 1280)] == [8, 8]
    assert [UNetConfig(head_dim=64).heads_at(width) for width in (320, 1280)] == [5, 20]
