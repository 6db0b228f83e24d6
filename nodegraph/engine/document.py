"""What a workflow file holds, format 1: nodes, what was typed and wired, subgraphs, names for what one may set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, model_validator

from nodegraph.engine.errors import Problem
from nodegraph.engine.spec import Json

FORMAT = 1
NodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:-]+$")]
Mode = Literal["mute", "bypass"]
PortName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Place = tuple[str, ...]
"""Keys that lead to something in the file: `("subgraphs", "upscale", "nodes", "resize")`."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NodeEntry(_Part):
    """A node of the file: of a `type`, or an instance of the subgraph `graph`."""

    type: str | None = Field(default=None, description="the node type's id")
    graph: str | None = Field(default=None, description="the name of a subgraph, for an instance of it")
    params: dict[str, Any] = Field(default_factory=dict, description="what was typed, by input name")
    links: dict[str, str] = Field(default_factory=dict, description="what is wired: 'node.output' by input name")
    mode: Mode | None = Field(default=None, description="'mute': left out; 'bypass': passes on what it gets")

    @model_validator(mode="after")
    def _one_kind(self) -> NodeEntry:
        if (self.type is None) == (self.graph is None):
            raise ValueError('a node has either a "type" or, as an instance of a subgraph, a "graph"')
        return self

    def dump(self) -> dict[str, Json]:
        """Return the node as JSON, with what is empty left out."""
        document: dict[str, Json] = {"graph": self.graph} if self.type is None else {"type": self.type}
        if self.params:
            document["params"] = dict(self.params)
        if self.links:
            document["links"] = dict(self.links)
        if self.mode is not None:
            document["mode"] = self.mode
        return document


class Subgraph(_Part):
    """Nodes with named ports, which are used as one node."""

    nodes: dict[NodeId, NodeEntry]
    inputs: dict[PortName, str | list[str]] = Field(
        default_factory=dict, description="the inputs it has: a name and the 'node.input' or inputs that receive it"
    )
    outputs: dict[PortName, str] = Field(default_factory=dict, description="what it gives: a name and a 'node.output'")
    subgraphs: dict[NodeId, Subgraph] = Field(default_factory=dict, description="subgraphs that only it uses")
    view: dict[str, Any] = Field(default_factory=dict, description="what an editor draws; ignored by a run")
    meta: dict[str, Any] = Field(default_factory=dict, description="notes of any kind; ignored by a run")

    def targets(self, name: str) -> tuple[str, ...]:
        """Return the `node.input` places that an input leads to."""
        target = self.inputs[name]
        return (target,) if isinstance(target, str) else tuple(target)


class Workflow(Subgraph):
    """A workflow file."""

    format: Literal[1] = Field(description="the version of this file format")
    _problems: tuple[Problem, ...] = PrivateAttr(default=())
    _dropped: frozenset[Place] = PrivateAttr(default=frozenset())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what was wrong with entries that were left out, or read as something else, when this was loaded."""
        return self._problems

    @property
    def dropped(self) -> frozenset[Place]:
        """Return the places of the entries that were left out."""
        return self._dropped

    def noting(self, problems: Iterable[Problem], dropped: Iterable[Place]) -> Workflow:
        """Return a copy that knows of further problems and left-out places."""
        other = self.model_copy()
        other._problems, other._dropped = (*self._problems, *problems), self._dropped | frozenset(dropped)
        return other

    def dump(self) -> dict[str, Json]:
        """Return the workflow as JSON, with what is empty left out."""
        return {"format": FORMAT, **_compact(self)}


def _compact(part: Subgraph) -> dict[str, Json]:
    document: dict[str, Json] = {"nodes": {id: entry.dump() for id, entry in part.nodes.items()}}
    for name in ("inputs", "outputs", "view", "meta"):
        if getattr(part, name):
            document[name] = getattr(part, name)
    if part.subgraphs:
        document["subgraphs"] = {name: _compact(subgraph) for name, subgraph in part.subgraphs.items()}
    return document
