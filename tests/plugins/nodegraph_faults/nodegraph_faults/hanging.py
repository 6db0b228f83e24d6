"""A plugin whose import takes as long as `NODEGRAPH_TEST_HANG` says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from nodegraph import hookimpl, node

time.sleep(float(os.environ.get("NODEGRAPH_TEST_HANG", "0")))


@node("hanging.Pass", category="faults")
def pass_on(number: int = 0) -> int:
    """Give the number."""
    return number


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return the node."""
    return [pass_on]
