"""What a run would do, as the workers know: each has results in its memory, and they share those on the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from nodegraph.server.children import Child, ChildError, ChildGone
from nodegraph.server.errors import ApiError
from nodegraph.server.queue import Queue

Json = Any
MOST_ASKED = 8
"""Workers; beyond that those on the same machine have much the same."""
SECONDS = 10.0
STARTING = 5.0
"""Seconds that a worker is waited for which is just being started."""


async def plan(queue: Queue, params: Mapping[str, Json], document: bytes) -> list[dict[str, Json]]:
    """Return the plan of the worker that would have the least to run; raise `ApiError` 503 where none can tell."""
    end = time.monotonic() + STARTING
    while not queue.children and time.monotonic() < end:
        await asyncio.sleep(0.05)
    asked = [_ask(child, params, document) for child in queue.children[:MOST_ASKED]]
    plans = [found for found in await asyncio.gather(*asked) if found is not None]
    if not plans:
        message = "no worker can tell yet what it would run: they are being started, or are busy with other questions"
        raise ApiError(503, "starting", message, headers={"Retry-After": "2"})
    return min(plans, key=lambda found: sum(decision["action"] == "run" for decision in found))


async def _ask(child: Child, params: Mapping[str, Json], document: bytes) -> list[dict[str, Json]] | None:
    try:
        found, _ = await child.call("plan", params, document, timeout=SECONDS)
    except (ChildGone, TimeoutError):
        return None
    except ChildError as error:
        if error.code == "invalid_workflow":  # it was right a moment ago: a file or a plugin has gone since
            raise ApiError(422, error.code, error.message, problems=error.problems) from error
        return None
    return list(found)
