"""Nodes that do arithmetic with latents, called as the functions that they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.sampling.noise import initial_noise
from nodegraph.diffusion.values import (
    Conditioning,
    ConditioningEntry,
    Latent,
    LatentFormat,
    LatentOperation,
    Mask,
    Model,
    Origin,
    Placed,
)
from nodegraph.nodes import latent_operations as nodes


def latent(batch: int = 1, height: int = 8, width: int = 12, seed: int = 0) -> Latent:
    samples = torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))
    return Latent(samples, origins=tuple(Origin(3, index) for index in range(batch)))


def test_sums_differences_and_products_keep_the_first_ones_origins() -> None:
    one, other = latent(2), latent(1, seed=1)
    assert torch.equal(nodes.latent_add(one, other).samples, one.samples + other.samples)
    assert torch.equal(nodes.latent_subtract(one, other).samples, one.samples - other.samples)
    assert torch.equal(nodes.latent_multiply(one, -2.0).samples, one.samples * -2)
    assert nodes.latent_add(one, other).origins == one.origins


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_mixing_goes_from_the_second_to_the_first(share: float) -> None:
    one, other = latent(), latent(seed=1)
    blended = nodes.latent_blend(one, other, share).samples
    assert torch.allclose(blended, one.samples * share + other.samples * (1 - share), atol=1e-6)
    ends = {0.0: other.samples, 1.0: one.samples}
    if share in ends:
        assert torch.allclose(nodes.latent_interpolate(one, other, share).samples, ends[share], atol=1e-5)


def test_another_size_is_brought_to_the_firsts() -> None:
    added = nodes.latent_add(latent(), Latent(torch.ones(1, 4, 16, 16)))
    assert torch.allclose(added.samples, latent().samples + 1, atol=1e-6)


@pytest.mark.parametrize(("dim", "axis"), [("x", 3), ("-x", 3), ("y", 2), ("-y", 2), ("t", 1), ("-t", 1)])
def test_latents_are_put_side_by_side(dim: str, axis: int) -> None:
    one, other = latent(2), latent(1, seed=1)
    pair = [one.samples, other.samples.repeat(2, 1, 1, 1)]
    expected = torch.cat(pair[::-1] if dim.startswith("-") else pair, axis)
    assert torch.equal(nodes.latent_concat(one, other, dim).samples, expected)


def test_latents_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4, 8, 12\) and \(1, 4, 9, 12\) do not fit along x"):
        nodes.latent_concat(latent(), latent(height=9), "x")


def test_a_cut_takes_its_mask_along() -> None:
    masked = Latent(latent().samples, noise_mask=torch.eye(12)[:8][None])
    cut = nodes.latent_cut(masked, "x", -3, 2)
    assert torch.equal(cut.samples, masked.samples[..., 9:11])
    assert cut.noise_mask is not None
    assert cut.noise_mask.shape == (1, 8, 2)


def test_batches_are_joined_with_their_places() -> None:
    part = Latent(latent().samples, batch_index=(5,))
    joined = nodes.latent_batch(latent(2), part)
    assert joined.samples.shape == (3, 4, 8, 12)
    assert joined.batch_index == (0, 1, 5)
    assert joined.origins == ()
    assert nodes.latent_batch(latent(2), latent(1, 16, 24)).samples.shape == (3, 4, 8, 12)


def test_one_latent_or_a_list_is_put_into_batches() -> None:
    assert [len(batch.samples) for batch in nodes.rebatch_latents(latent(3), 2)] == [2, 1]
    assert [len(batch.samples) for batch in nodes.rebatch_latents([latent(3), latent(2)], 4)] == [4, 1]


def test_a_batch_may_get_the_same_noise_throughout() -> None:
    same = nodes.latent_batch_seed_behavior(Latent(latent(3).samples, batch_index=(4, 5, 6)), "fixed")
    assert same.batch_index == (4, 4, 4)
    noise = initial_noise(same.samples.shape, 1, same.batch_index)
    assert torch.equal(noise[0], noise[2])
    assert nodes.latent_batch_seed_behavior(same, "random").batch_index is None
    assert nodes.latent_batch_seed_behavior(latent(2), "fixed").batch_index == (0, 0)


def by_loops(below: Tensor, above: Tensor, left: int, top: int, feather: int) -> Tensor:
    """Lay latents over others a row and a column at a time."""
    above = above[..., : below.shape[-2] - top, : below.shape[-1] - left]
    height, width = above.shape[-2:]
    mask = torch.ones_like(above)
    for place in range(feather):
        rate = (place + 1) / feather
        if top > 0:
            mask[..., place, :] *= rate
        if top + height < below.shape[-2]:
            mask[..., height - 1 - place, :] *= rate
        if left > 0:
            mask[..., place] *= rate
        if left + width < below.shape[-1]:
            mask[..., width - 1 - place] *= rate
    out = below.clone()
    window = out[..., top : top + height, left : left + width]
    window.copy_(above * mask + window * (1 - mask))
    return out


@pytest.mark.parametrize(("x", "y", "feather"), [(0, 0, 0), (16, 0, 16), (24, 24, 16), (64, 40, 8), (0, 16, 24)])
def test_latents_fade_in_at_inner_sides(x: int, y: int, feather: int) -> None:
    below, above = latent(2), latent(2, 5, 6, seed=1)
    given = nodes.latent_composite(below, above, x, y, feather).samples
    assert torch.allclose(given, by_loops(below.samples, above.samples, x // 8, y // 8, feather // 8), atol=1e-6)


def test_latents_outside_change_nothing() -> None:
    assert torch.equal(nodes.latent_composite(latent(), latent(seed=1), 960, 0, 16).samples, latent().samples)


def test_latents_are_laid_over_others_where_a_mask_is_one() -> None:
    ones, zero = Latent(torch.ones(1, 4, 4, 4)), Latent(torch.zeros(1, 4, 8, 12))
    mask = torch.zeros(1, 32, 32)
    mask[:, :, 16:] = 1.0
    given = nodes.latent_composite_masked(zero, ones, 16, 8, mask=Mask(mask)).samples[0, 0]
    assert given.nonzero().tolist() == [[row, column] for row in range(1, 5) for column in (4, 5)]
    assert nodes.latent_composite_masked(zero, ones, resize_source=True).samples.min().item() == 1.0


def test_operations_are_made_and_applied() -> None:
    tamed = nodes.latent_apply_operation(latent(), nodes.latent_operation_tonemap_reinhard(0.5))
    assert tamed.samples.abs().max() < latent().samples.abs().max()
    sharp = nodes.latent_apply_operation(latent(), nodes.latent_operation_sharpen(2, 1.0, 0.0))
    assert torch.allclose(sharp.samples, latent().samples, atol=1e-4)
    assert sharp.origins == latent().origins


class Towards(nn.Module):
    """A network whose clean sample is what the prompt holds."""

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        return context.mean((1, 2))[:, None, None, None].expand_as(x)


@pytest.mark.parametrize(("cfg", "expected"), [(3.0, 1.0 + 3.0 * 2.0 * (5.0 - 1.0)), (1.0, 2.0 * 5.0)])
def test_an_operation_changes_what_guidance_moves_along(cfg: float, expected: float) -> None:
    model = Model(Placed(Towards()), prediction="x0", latent=LatentFormat(scale=1.0))
    doubling = LatentOperation(lambda samples: samples * 2)
    positive, negative = (Conditioning((ConditioningEntry(torch.full((1, 7, 8), value)),)) for value in (5.0, 1.0))
    run = sample(
        nodes.latent_apply_operation_cfg(model, doubling), positive, negative, latent(),
        seed=1, steps=1, cfg=cfg, sampler="euler", scheduler="normal",
    )  # fmt: skip
    assert run.result().samples.mean().item() == pytest.approx(expected)
