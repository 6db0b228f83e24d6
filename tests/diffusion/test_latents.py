"""Arithmetic of latents, against numpy written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import latents
from nodegraph.diffusion.latent_files import LatentFileError, read_latent, write_latent
from nodegraph.diffusion.values import Latent, Origin


def samples(batch: int = 2, height: int = 12, width: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_interpolating_mixes_lengths_and_directions_apart(share: float) -> None:
    first, second = samples().numpy(), samples(seed=1).numpy()
    norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)]
    mixed = first / norms[0] * share + second / norms[1] * (1 - share)
    expected = mixed / np.linalg.norm(mixed, axis=1, keepdims=True) * (norms[0] * share + norms[1] * (1 - share))
    assert np.allclose(latents.interpolated(samples(), samples(seed=1), share).numpy(), expected, atol=1e-5)


def test_interpolating_nothing_gives_nothing_not_nan() -> None:
    zero = torch.zeros(1, 4, 2, 2)
    assert not latents.interpolated(zero, zero, 0.5).any()


def test_tonemapping_is_reinhards_curve_of_the_lengths() -> None:
    x = samples().numpy().astype(np.float64)
    size = np.linalg.norm(x, axis=1, keepdims=True)
    for index in range(2):
        top = (size[index].std(ddof=1) * 5 + size[index].mean()) * 0.5
        expected = x[index] / size[index] * (size[index] / top / (size[index] / top + 1) * top)
        assert np.allclose(latents.tonemapped(samples(), 0.5)[index].numpy(), expected, atol=1e-5)


def test_sharpening_keeps_a_plain_latent_and_makes_a_varied_one_more_so() -> None:
    plain = torch.ones(1, 4, 24, 24)
    assert torch.allclose(latents.sharpened(plain, 9, 1.0, 0.1), plain, atol=1e-4)
    x = samples(1, 24, 24)
    assert torch.allclose(latents.sharpened(x, 9, 1.0, 0.0), x, atol=1e-4)
    assert latents.sharpened(x, 2, 1.0, 0.1).std() > x.std()


@pytest.mark.parametrize(
    ("index", "amount", "expected"),
    [(2, 3, slice(2, 5)), (-3, 2, slice(7, 9)), (99, 4, slice(9, 10)), (-99, 4, slice(0, 4)), (-1, 9, slice(9, 10))],
)
def test_a_cut_stays_inside(index: int, amount: int, expected: slice) -> None:
    assert torch.equal(latents.cut(samples(), -1, index, amount), samples()[..., expected])


def test_other_channels_are_told() -> None:
    with pytest.raises(ValueError, match="have 16 and 4 channels"):
        latents.fitted(torch.zeros(1, 16, 2, 2), samples())


def test_rebatched_latents_keep_places_and_origins() -> None:
    first = Latent(samples(3), origins=tuple(Origin(7, index) for index in range(3)))
    second = Latent(samples(2, seed=1), batch_index=(8, 9), origins=(Origin(1, 8), Origin(1, 9)))
    batches = latents.rebatched([first, second], 2)
    assert [len(batch.samples) for batch in batches] == [2, 2, 1]
    assert [batch.batch_index for batch in batches] == [(0, 1), (2, 8), (9,)]
    assert batches[1].origins == (Origin(7, 2), Origin(1, 8))
    assert torch.equal(torch.cat([batch.samples for batch in batches]), torch.cat([first.samples, second.samples]))


def test_another_size_begins_a_new_batch() -> None:
    batches = latents.rebatched([Latent(samples(3)), Latent(samples(2, 8, 8))], 2)
    assert [tuple(batch.samples.shape) for batch in batches] == [(2, 4, 12, 10), (1, 4, 12, 10), (2, 4, 8, 8)]
    assert batches[2].batch_index == (3, 4)


def test_rebatched_masks_go_along_and_missing_ones_are_whole() -> None:
    masked = Latent(samples(2), noise_mask=torch.zeros(1, 6, 5))
    batch = latents.rebatched([masked, Latent(samples(1))], 3)[0]
    assert batch.noise_mask is not None
    assert batch.noise_mask.mean((1, 2)).tolist() == [0, 0, 1]
    assert latents.rebatched([Latent(samples(2))], 4)[0].noise_mask is None


def test_latents_survive_a_file(tmp_path: Path) -> None:
    write_latent(tmp_path / "a.latent", samples()[:, :, 1:], {"prompt": "{}"})
    assert torch.equal(read_latent(tmp_path / "a.latent"), samples()[:, :, 1:])


def test_old_files_hold_scaled_latents(tmp_path: Path) -> None:
    save_file({"latent_tensor": samples() * 0.18215}, tmp_path / "old.latent")
    assert torch.allclose(read_latent(tmp_path / "old.latent"), samples(), atol=1e-6)


def test_files_that_hold_no_latents_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.latent").write_bytes(b"nonsense")
    with pytest.raises(LatentFileError, match=r"a\.latent: not a file of latents"):
        read_latent(tmp_path / "a.latent")
    save_file({"weight": torch.zeros(3)}, tmp_path / "b.latent")
    with pytest.raises(LatentFileError, match=r"got weight \(3,\), expected latent_tensor"):
        read_latent(tmp_path / "b.latent")
