"""What holds for every test: nothing of the user's own caches is read or written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the session empty cache folders; nodegraph, the hub's client and processes started by tests look there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HF_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("caches")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield
