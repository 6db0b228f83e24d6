"""Numbered points at which a test lets the server fail: `NODEGRAPH_FAULT=12:kill` kills it at the twelfth it meets.

Actions are `kill` (SIGKILL to itself), `full` (raises OSError ENOSPC) and `raise` (raises `FaultError`). Without the
variable a point costs one comparison. A test raises the number until a run meets fewer points than that, so that each
commit, rename and hand-over has been the last thing that happened (SQLite's method).
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Mapping

VARIABLE = "NODEGRAPH_FAULT"
log = logging.getLogger(__name__)
_armed: list[tuple[int, str, str]] = []
_met = 0
_by_name: dict[str, int] = {}


class FaultError(RuntimeError):
    """What a point raises on `raise`."""


def arm(environment: Mapping[str, str]) -> None:
    """Read which points shall fail: `12:kill`, or several as `3:full,9:full`, or by name as `store.commit@2:kill`."""
    global _met
    _met = 0
    _armed.clear()
    _by_name.clear()
    for part in filter(None, environment.get(VARIABLE, "").split(",")):
        place, _, action = part.partition(":")
        name, at, number = place.rpartition("@")
        if action not in ("kill", "full", "raise") or not number.isdecimal():
            raise ValueError(f"{VARIABLE}={part!r}: expected NUMBER:kill, NUMBER:full, NUMBER:raise or NAME@NUMBER:...")
        _armed.append((int(number), name if at else "", action))


def point(name: str) -> None:
    """Mark a place where the world may end."""
    if not _armed:
        return
    global _met
    _met += 1
    _by_name[name] = _by_name.get(name, 0) + 1
    for number, only, action in _armed:
        if (_by_name[name] if only == name else _met if not only else -1) == number:
            _act(name, action)


def met() -> int:
    """Return how many points were met since `arm`."""
    return _met


def _act(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    log.warning("the fault point %d, %s, was met: %s", _met, name, action)
    if action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    raise FaultError(f"the fault point {name} was told to raise")
