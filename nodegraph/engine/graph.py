"""A checked graph, which the executor runs: subgraphs dissolved, each parameter valid, each link leading somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.engine.spec import InputPort, Json, NodeSpec, OutputPort

if TYPE_CHECKING:
    import networkx as nx


class Source(NamedTuple):
    """Where a link comes from: an output of a node."""

    node: str
    output: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A node of a graph.

    `params` holds checked Python values by input name, those that equal the default left out, a `Body` where the port
    takes a subgraph; `links` holds sources by input name. `mapped` names the inputs whose source is a list of what the
    port takes: the node runs once an item, and each of its outputs becomes a list.
    """

    id: str
    spec: NodeSpec
    params: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, Source] = field(default_factory=dict)
    mapped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Checked nodes in an order in which each stands after its sources.

    `targets` are the nodes that a run must reach: sinks, or, where there are none, nodes that nothing reads.
    `document` is the workflow as it was given, for the record in saved pictures.
    """

    nodes: Mapping[str, Instance]
    targets: tuple[str, ...]
    outputs: Mapping[str, Source] = field(default_factory=dict)
    """Results that the workflow exposes by name."""
    document: Mapping[str, Json] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Nodes of the workflow that are muted or bypassed, or need such a one, and why each is left out."""

    @cached_property
    def network(self) -> nx.DiGraph[str]:
        """Return the nodes' ids and who reads whom."""
        import networkx as nx  # a tenth of a second, which a mere check need not spend

        network: nx.DiGraph[str] = nx.DiGraph()
        network.add_nodes_from(self.nodes)
        network.add_edges_from((source.node, node.id) for node in self.nodes.values() for source in node.links.values())
        return network


@dataclass(frozen=True)
class Body:
    """A checked subgraph that a node gets through a `Body` parameter, and expands at run time.

    Its nodes stand in an order in which each comes after its sources and carry the ids they have in the subgraph. What
    `inputs` names must be given by whoever expands it (unless the port has a default); until then those ports of the
    instances named by `targets` are open, or hold what the subgraph says where nothing is given.
    """

    name: str
    nodes: Mapping[str, Instance] = field(default_factory=dict)
    inputs: Mapping[str, InputPort] = field(default_factory=dict)
    """What the body takes, by name; the port is the first that the input leads to."""
    targets: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Input name -> the (node, port) pairs that receive it."""
    outputs: Mapping[str, OutputPort] = field(default_factory=dict)
    """What the body gives, by name; the type is a list where the source is a node mapped over one."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Output name -> the node and output that it comes from."""
