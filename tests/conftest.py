"""What all tests share. None reads or writes the caches of the user who runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's root folder."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session empty cache folders; nodegraph, the hub's client and processes started by tests look there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HF_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("caches")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield
