"""A server under attack: each test leaves it alive, and its log holds no error without a reference."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.server.attacks.wire import Wire

CANARY = "canary-in-a-file-that-nobody-may-read"


class Shared(Protocol):
    """A server in a thread, as `shared` of the folder above gives it."""

    port: int
    token: str
    data: Path


@pytest.fixture
def wire(shared: Shared, caplog: pytest.LogCaptureFixture) -> Iterator[Wire]:
    """Return what speaks to the module's server; afterwards that must be alive and its log without a surprise."""
    found = Wire(shared.port, shared.token, [str(shared.data), str(Path.home()), CANARY, "root:x:0:0"])
    yield found
    found.alive()
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == []
    assert shared.token not in caplog.text
