"""How long jobs of a kind take: an average in which the latest count most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nodegraph.server.store import rows
from nodegraph.server.store.kinds import Expected
from nodegraph.server.store.sqlite import Connection

WEIGHT: Final = 0.3
"""Of the latest job, once there were a few."""
KEPT: Final = 5000
"""Signatures; those not run for the longest time are forgotten."""


def remember(connection: Connection, signature: str, nodes: Mapping[str, float], total: float) -> None:
    """Take a job's times into the average; nodes that it did not run keep theirs."""
    old = expected(connection, signature)
    if old is None:
        new = Expected(total, dict(nodes), 1)
    else:
        weight = max(WEIGHT, 1 / (old.runs + 1))
        mixed = {node: _mix(old.nodes.get(node, seconds), seconds, weight) for node, seconds in nodes.items()}
        new = Expected(_mix(old.total, total, weight), {**old.nodes, **mixed}, old.runs + 1)
    connection.execute(
        "INSERT OR REPLACE INTO times (signature, runs, total, nodes, latest) "
        "VALUES (?, ?, ?, ?, (SELECT coalesce(max(latest), 0) + 1 FROM times))",
        (signature, new.runs, new.total, rows.dump(dict(new.nodes))),
    )
    connection.execute("DELETE FROM times WHERE latest <= (SELECT max(latest) FROM times) - ?", (KEPT,))


def expected(connection: Connection, signature: str) -> Expected | None:
    """Return the average."""
    row = connection.execute("SELECT total, nodes, runs FROM times WHERE signature = ?", (signature,)).fetchone()
    return Expected(row[0], rows.load(row[1]), row[2]) if row is not None else None


def _mix(old: float, new: float, weight: float) -> float:
    return old + weight * (new - old)
