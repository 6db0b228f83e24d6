"""What the tests against other libraries share."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch

from nodegraph.diffusion.models.configs import UNetConfig
from nodegraph.diffusion.models.unet import UNet


@pytest.fixture(scope="session")
def reference() -> Any:
    """Load k-diffusion's samplers alone: the package itself imports what they do not need."""
    found = find_spec("k_diffusion")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("k-diffusion is not installed")
    package = ModuleType("k_diffusion")
    package.__path__ = list(found.submodule_search_locations)
    names = ("torchdiffeq", "torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    unused = {name: ModuleType(name) for name in names}
    vars(unused["torchdiffeq"])["odeint"] = None
    vars(unused["torchvision.transforms"])["functional"] = unused["torchvision.transforms.functional"]
    for needed in ("scipy.integrate", "torchsde"):
        import_module(needed)  # what is first imported within the patch is forgotten with it

    with patch.dict(sys.modules, {"k_diffusion": package, **unused}):
        from k_diffusion import sampling
    return sampling


@pytest.fixture(scope="session")
def network() -> UNet:
    torch.manual_seed(0)
    config = UNetConfig(
        channels=32, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(1, 0), context_dim=24, heads=2
    )
    unet = UNet(config).eval().requires_grad_(False)
    for parameter in unet.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.7 / math.sqrt(parameter[0].numel()))
    return unet
