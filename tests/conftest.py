"""What all tests share. None reads or writes the caches and data of the user who runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from nodegraph.diffusion import registry

# Tiny networks are slower on several threads than on one; must be set before torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no reason for a test to fail, and a failure must be the same again.
settings.register_profile("nodegraph", deadline=None, derandomize=True)
settings.load_profile("nodegraph")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's root folder."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session empty cache folders; nodegraph, the hub's client and processes started by tests look there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA", "HF_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("caches")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("NODEGRAPH_MODELS", raising=False)
        yield


BUILTIN = registry.active()
"""The samplers, schedulers and families without those of plugins, before any test module is imported."""


@pytest.fixture(scope="module", autouse=True)
def extensions_of_a_module() -> Iterator[None]:
    """Begin with the built-in samplers, schedulers and families, and end so."""
    registry.activate(BUILTIN)
    yield
    registry.activate(BUILTIN)


@pytest.fixture(autouse=True)
def extensions_of_a_test() -> Iterator[None]:
    """Take the samplers, schedulers and families of plugins that a test has loaded off again."""
    before = registry.active()
    yield
    registry.activate(before)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a models folder with `checkpoints/tiny.safetensors`: Stable Diffusion 1.x, tiny, of random weights."""
    import torch

    from nodegraph.diffusion.models.clip import ClipText
    from nodegraph.diffusion.models.configs import AutoencoderConfig, ClipTextConfig, UNetConfig
    from nodegraph.diffusion.models.unet import UNet
    from nodegraph.diffusion.models.vae import Autoencoder
    from nodegraph.diffusion.weights.save import save_checkpoint

    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {
            "unet": UNet(UNetConfig(4, 4, 16, (1, 2), 1, (1, 0), 1, 16, heads=2, groups=8)),
            "vae": Autoencoder(AutoencoderConfig(3, 4, 8, (1, 1, 2, 2), 1, groups=4)),
            "clip": ClipText(ClipTextConfig(width=16, layers=2, heads=2, mlp_width=32)),
        }
        for parameter in (parameter for network in networks.values() for parameter in network.parameters()):
            if not parameter.any():  # what starts as zero would hide what comes before it
                torch.nn.init.normal_(parameter.data, std=0.05)
    folder = tmp_path_factory.mktemp("models")
    (folder / "checkpoints").mkdir()
    save_checkpoint(folder / "checkpoints" / "tiny.safetensors", networks, dtype=torch.float32)
    return folder


LONG = ("editor", "faults", "server", "workers", "collection", "cli")
"""Folders of tests with browsers and servers: of their files many take long."""


def place(item: pytest.Item) -> int:
    """Return when a file's turn is: of several processes none shall be left alone with a long one at the end."""
    folders = [ROOT / "tests" / name for name in LONG]
    return next((at for at, folder in enumerate(folders) if folder in item.path.parents), len(folders))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes many minutes, unless `-m` names it; begin with the files that take long."""
    items.sort(key=place)
    if "soak" not in config.option.markexpr:
        soak = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]
