"""Servers as processes, for tests of what they do when the world ends around them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Servers, Start

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []
"""Signals and /proc are those of POSIX systems."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers; what is left of them is killed with the test."""
    servers = Servers(tmp_path)
    yield servers.start
    servers.end()
