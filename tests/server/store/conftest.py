"""A store of the test's own, and submissions to fill it with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.records import Submission
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]


def submission_of(text: str = "a red circle", **changes: Any) -> Submission:
    """Return a submission whose workflow holds a prompt."""
    workflow = {"format": 1, "nodes": {"prompt": {"type": "faults.Text", "params": {"text": text}}}}
    return Submission(document=json.dumps(workflow, separators=(",", ":")).encode(), **changes)


@pytest.fixture
def submit() -> Submit:
    return submission_of


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "data")
    yield opened
    await opened.close()
