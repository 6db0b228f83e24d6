"""Our moving average against diffusers' EMAModel."""

import pytest
import torch
from torch import nn

from nodegraph.training.ema import Ema, EmaConfig

training_utils = pytest.importorskip("diffusers.training_utils")


@pytest.mark.parametrize("power", [None, 0.75])
def test_average_equals_diffusers(power: float | None) -> None:
    torch.manual_seed(0)
    module = nn.Linear(5, 3)
    ours = Ema(module, EmaConfig(highest=0.98, power=power))
    theirs = training_utils.EMAModel(module.parameters(), decay=0.98, use_ema_warmup=power is not None,
                                     power=power or 1.0, inv_gamma=1.0)  # fmt: skip
    for _ in range(60):
        with torch.no_grad():
            for value in module.parameters():
                value.add_(torch.randn_like(value))
        ours.update(module)
        theirs.step(module.parameters())
    for average, reference in zip(ours.shadow.values(), theirs.shadow_params, strict=True):
        torch.testing.assert_close(average, reference)
