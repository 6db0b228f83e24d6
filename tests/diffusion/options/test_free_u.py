"""FreeU by the paper's formulas: features joined are looked at, and reckoned anew by a transform of the whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.options.free_u import FreeU, scaled_low
from nodegraph.diffusion.options.scene import staged
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

Play = Callable[..., Tensor]
Joined = list[tuple[Tensor, Tensor]]


def low_by_transform(x: Tensor, scale: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Scale the four bins before the centre of the shifted spectrum."""
    spectrum = np.fft.fftshift(np.fft.fftn(x.double().numpy(), axes=(-2, -1)), axes=(-2, -1))
    row, column = x.shape[-2] // 2, x.shape[-1] // 2
    spectrum[..., max(0, row - 1) : row + 1, max(0, column - 1) : column + 1] *= scale
    return np.asarray(np.fft.ifftn(np.fft.ifftshift(spectrum, axes=(-2, -1)), axes=(-2, -1)).real)


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (5, 9), (1, 6), (2, 1), (2, 2), (1, 1)])
@pytest.mark.parametrize("scale", [0.2, 0.0, 1.7])
def test_low_frequencies_are_scaled_as_by_a_transform(size: tuple[int, int], scale: float) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2)) + 1
    np.testing.assert_allclose(scaled_low(x, scale).numpy(), low_by_transform(x, scale), atol=1e-5)
    half = scaled_low(x.bfloat16(), scale)
    assert half.dtype == torch.bfloat16
    np.testing.assert_allclose(half.float().numpy(), low_by_transform(x, scale), atol=0.05)


def joined(network: UNet, play: Play, *options: FreeU) -> Joined:
    """Return what the network joins on its way up."""
    seen: Joined = []

    def look(module: nn.Module, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        parts = output.split([inputs[0].shape[1], inputs[1].shape[1]], dim=1)
        seen.append((parts[0].clone(), parts[1].clone()))

    handle = network.join.register_forward_hook(look)
    play(network, *options)
    handle.remove()
    return seen


@pytest.mark.parametrize("structure", [False, True])
def test_features_are_changed_by_their_width(network: UNet, play: Play, structure: bool) -> None:
    """Checked at the first join, whose inputs do not yet depend on earlier ones, and by the network's own widths."""
    plain = joined(network, play)
    assert [x.shape[1] for x, _ in plain] == [32, 32, 32, 16, 16, 8]
    (x, skip), (changed, filtered) = plain[0], joined(network, play, FreeU(1.3, 9, 0.9, 9, structure))[0]
    half, rest = x[:, :16], x[:, 16:]
    mean = x.mean(1, keepdim=True)
    share = (mean - mean.amin((2, 3), keepdim=True)) / (
        mean.amax((2, 3), keepdim=True) - mean.amin((2, 3), keepdim=True)
    )
    strength = share * 0.3 + 1 if structure else 1.3
    torch.testing.assert_close(changed, torch.cat((half * strength, rest), 1))
    np.testing.assert_allclose(filtered.numpy(), low_by_transform(skip, 0.9), atol=1e-5)


def test_each_pair_holds_at_its_width(network: UNet, play: Play) -> None:
    plain = joined(network, play)
    lower, upper = joined(network, play, FreeU(2, 1, 0.5, 1)), joined(network, play, FreeU(1, 2, 1, 0.5))
    assert not torch.allclose(lower[0][0], plain[0][0])
    for index in range(3):
        assert torch.equal(upper[index][0], plain[index][0])
        assert torch.equal(upper[index][1], plain[index][1])
    np.testing.assert_allclose(upper[3][1].numpy(), low_by_transform(plain[3][1], 0.5), atol=1e-5)
    torch.testing.assert_close(upper[3][0][:, :8], plain[3][0][:, :8] * 2)
    assert torch.equal(lower[5][1], plain[5][1])


def test_structure_of_an_even_map_is_no_strength() -> None:
    even = torch.ones(1, 32, 4, 4)
    assert torch.equal(FreeU(3, 3, 1, 1, structure=True)._stronger(even, 3.0), even)


def test_widths_that_it_does_not_know_are_told() -> None:
    config = UNetConfig(channels=8, channel_multipliers=(1, 3), res_blocks=1, transformer_depths=(0, 0), groups=4)
    told = "features are 32 or 16 wide; those of the model's network are 8, 24 wide"
    with (
        pytest.raises(ValueError, match=told),
        staged(UNet(config), [FreeU(2, 2, 2, 2)], table_of(DiffusionSchedule())),
    ):
        pass
