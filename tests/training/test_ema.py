"""The moving average of weights: its decay, and that it goes on where it stopped."""

import pytest
import torch
from torch import nn

from nodegraph.training.ema import Ema, EmaConfig


def test_decay_warms_up_and_stays_in_bounds() -> None:
    config = EmaConfig(highest=0.9, lowest=0.2)
    assert config.decay(0) == 0.0
    assert config.decay(1) == 0.2
    assert config.decay(9) == pytest.approx(10 / 19)
    assert config.decay(10_000) == 0.9


def test_decay_with_a_power_is_karras_and_crowsons_warm_up() -> None:
    assert EmaConfig(power=0.75, inverse_gamma=2.0).decay(6) == pytest.approx(1 - 4**-0.75)


def test_first_update_copies_and_later_ones_average() -> None:
    module = nn.Linear(1, 1, bias=False)
    ema = Ema(module, EmaConfig(highest=0.5, lowest=0.5))
    for value in (1.0, 3.0, 5.0):
        nn.init.constant_(module.weight, value)
        ema.update(module)
    assert ema.shadow["weight"].item() == pytest.approx(((1 + 3) / 2 + 5) / 2)


def test_frozen_weights_are_copied() -> None:
    module = nn.Linear(1, 1)
    module.bias.requires_grad_(False)
    ema = Ema(module, EmaConfig(highest=0.9, lowest=0.9))
    ema.update(module)
    with torch.no_grad():
        module.bias.fill_(7.0)
    ema.update(module)
    assert ema.shadow["bias"].item() == 7.0


def test_swapping_in_gives_the_own_weights_back_after_an_error() -> None:
    module = nn.Linear(1, 1)
    ema = Ema(module, EmaConfig())
    nn.init.constant_(module.weight, 5.0)
    seen = []

    def fail_inside() -> None:
        with ema.swapped_in(module):
            seen.append(module.weight.item())
            raise RuntimeError("halt")

    with pytest.raises(RuntimeError, match="halt"):
        fail_inside()
    assert seen == [ema.shadow["weight"].item()]
    assert module.weight.item() == 5.0


def test_state_of_another_module_is_refused() -> None:
    state = Ema(nn.Linear(1, 1), EmaConfig()).state_dict()
    with pytest.raises(ValueError, match="another module: 1 names differ, such as bias"):
        Ema(nn.Linear(1, 1, bias=False), EmaConfig()).load_state_dict(state)
