"""A network's forward is left between its blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from nodegraph.diffusion.interruption import interruptible
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig

Call = Callable[[], object]
UNET = UNetConfig(channels=8, groups=4, context_dim=8, heads=2)
VAE = AutoencoderConfig(channels=8, groups=4)
CLIP = ClipTextConfig(vocabulary=16, length=7, width=8, layers=3, heads=2, mlp_width=8, end_token=15)


def unet() -> tuple[nn.Module, Call]:
    network = UNet(UNET)
    return network, partial(network, torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 7, 8))


def encoder() -> tuple[nn.Module, Call]:
    network = Autoencoder(VAE)
    return network, partial(network.encode, torch.zeros(1, 3, 16, 16))


def decoder() -> tuple[nn.Module, Call]:
    network = Autoencoder(VAE)
    return network, partial(network.decode, torch.zeros(1, 4, 2, 2))


def clip() -> tuple[nn.Module, Call]:
    network = ClipText(CLIP)
    return network, partial(network, torch.zeros(1, 7, dtype=torch.long))


class StopError(Exception):
    """What the check raises."""


def looks(make: Callable[[], tuple[nn.Module, Call]], stop_at: int = 0, *, convolutions: bool = False) -> int:
    """Return how often a forward looked at whether to go on; it is stopped at the look `stop_at`."""
    network, call = make()
    count = 0

    def check() -> None:
        nonlocal count
        count += 1
        if count == stop_at:
            raise StopError

    try:
        with interruptible(network, check, convolutions=convolutions), torch.inference_mode():
            call()
    except StopError:
        assert count == stop_at
    assert not any(module._forward_pre_hooks for module in network.modules())
    return count


@pytest.mark.parametrize(("make", "least"), [(unet, 60), (encoder, 10), (decoder, 15), (clip, 4)])
def test_each_block_is_a_place_to_stop(make: Callable[[], tuple[nn.Module, Call]], least: int) -> None:
    assert looks(make) >= least
    assert looks(make, 2) == 2


def test_convolutions_are_too_on_request() -> None:
    assert looks(decoder, convolutions=True) > looks(decoder) + 20


def test_another_thread_that_uses_the_network_is_left_alone() -> None:
    network, call = unet()
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(call()))

    def check() -> None:
        raise StopError

    with interruptible(network, check):
        thread.start()
        thread.join()
        with pytest.raises(StopError):
            call()
    assert len(done) == 1


def test_the_result_is_the_same() -> None:
    network, call = decoder()
    with torch.inference_mode():
        plain = call()
        with interruptible(network, lambda: None, convolutions=True):
            assert torch.equal(call(), plain)  # type: ignore[arg-type]
