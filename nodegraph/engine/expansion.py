"""Expansion: a node that answers with nodes to run instead of a value. Loops, for-each and macros are made of it.

```python
@node("demo.Twice")
def twice(image: Image, body: Body) -> Image | Expansion:
    first = Use(body, {"image": Given("image")})
    second = Use(body, {"image": Ref("first", "image")})
    return Expansion({"first": first, "second": second}, {"out": Ref("second", "image")})
```

The nodes run as if they stood in the graph, and their results are cached by their own recipes: what an expansion made
before is reused though the node around it runs again. A node of an expansion may expand in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.engine.graph import Body
from nodegraph.engine.spec import NodeSpec


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of another node of the expansion."""

    node: str
    output: str = "out"


@dataclass(frozen=True, slots=True)
class Given:
    """An input of the node that expands, as it is: wired, typed or lazy."""

    input: str


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a list that the node that expands got as an input."""

    input: str
    index: int


@dataclass(frozen=True, slots=True)
class Use:
    """A node of an expansion: a node type, a function marked with `@node`, or a subgraph, and what its inputs get.

    An input gets a `Ref`, a `Given`, an `Item`, or any other value as a constant. Constants are part of recipes by
    their value; one that has no canonical form (a tensor, say) makes a result that is kept for this run only, so
    pass on what the node got by `Given` and `Item`.
    """

    of: NodeSpec | Body | Callable[..., Any]
    inputs: Mapping[str, object] = field(default_factory=dict)
    mapped: tuple[str, ...] = ()
    """Inputs that get a list of what they take: the node runs once an item."""
    beside: bool = False
    """Nodes that this one expands into stand beside it and not inside it: for loops that pass on to a next round."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a node returns to have `nodes` run and their results taken for its own.

    `outputs` must name each output of the node: by a `Ref`, a list of them (the output is a list of their values),
    a `Given`, or any other value.
    """

    nodes: Mapping[str, Use]
    outputs: Mapping[str, object]
