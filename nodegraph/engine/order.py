"""An order in which each node stands after those it reads, and the cycles that forbid one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx


def in_order(sources_of: Mapping[str, Iterable[str]]) -> list[str]:
    """Order nodes so that each stands after its sources, given the sources of each; those on cycles are left out."""
    waiting = {node: set(sources) & sources_of.keys() for node, sources in sources_of.items()}
    readers: dict[str, list[str]] = {node: [] for node in sources_of}
    for node, sources in waiting.items():
        for source in sources:
            readers[source].append(node)
    counts = {node: len(sources) for node, sources in waiting.items()}
    ready = deque(node for node, count in counts.items() if not count)
    order: list[str] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for reader in readers[node]:
            counts[reader] -= 1
            if not counts[reader]:
                ready.append(reader)
    return order


def cycles(sources_of: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return one cycle of each knot of nodes that read each other, in the direction in which values would flow."""
    import networkx as nx  # a tenth of a second, which only a workflow with a cycle costs

    network: nx.DiGraph[str] = nx.DiGraph()
    network.add_nodes_from(sources_of)
    network.add_edges_from((s, node) for node, sources in sources_of.items() for s in sources if s in sources_of)
    place = {node: index for index, node in enumerate(sources_of)}
    knots = [knot for knot in nx.strongly_connected_components(network) if _is_knot(network, knot)]
    knots.sort(key=lambda knot: min(place[node] for node in knot))
    return [_cycle(network, knot, place) for knot in knots]


def _is_knot(network: nx.DiGraph[str], knot: set[str]) -> bool:
    return len(knot) > 1 or all(network.has_edge(node, node) for node in knot)


def _cycle(network: nx.DiGraph[str], knot: set[str], place: Mapping[str, int]) -> list[str]:
    """Walk back from reader to source within a knot until a node comes again; begin with the first in the file."""
    path = [min(knot, key=place.__getitem__)]
    seen = {path[0]: 0}
    while True:
        source = next(node for node in network.predecessors(path[-1]) if node in knot)
        if source in seen:
            break
        seen[source] = len(path)
        path.append(source)
    cycle = path[seen[source] :][::-1]
    first = cycle.index(min(cycle, key=place.__getitem__))
    return cycle[first:] + cycle[:first]
