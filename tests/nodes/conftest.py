"""What the tests of nodes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.diffusion.loading import Loaded, load


@pytest.fixture(scope="session")
def tiny(tiny_models: Path) -> Loaded:
    """Return the tiny model's networks, as a loader node gives them."""
    return load(tiny_models / "checkpoints" / "tiny.safetensors", device="cpu", dtype="fp32")
