"""The rounds of loops: what a subgraph gets in each, and what decides about another. No nodes of their own."""

from typing import Any

from nodegraph import Body, Expansion, Given, Ref, Use, node

SHARED = ("a", "b", "c", "d")
"""Inputs of loops that each round gets as they are."""


def inputs(body: Body, given: dict[str, object]) -> dict[str, object]:
    """Return what of `given` and of the loop's own inputs the subgraph takes."""
    offered = {**{name: Given(name) for name in SHARED}, **given}
    return {name: value for name, value in offered.items() if name in body.inputs}


def first(body: Body) -> Expansion:
    """Return the first round of a loop that goes on as long as its subgraph says `again`."""
    return _round(body, 0)


@node("Loop.round")
def decide(
    again: bool,
    initial: Any,
    body: Body,
    index: int,
    limit: int,
    a: Any = None,
    b: Any = None,
    c: Any = None,
    d: Any = None,
) -> Any:
    """Go on with a loop, or end it."""
    if not again:
        return initial
    if index >= limit:
        raise ValueError(f"the loop has not ended after {limit} rounds; `again` must become no, or `limit` be raised")
    return _round(body, index)


def _round(body: Body, index: int) -> Expansion:
    now, then = str(index), f"after{index}"
    passed = {name: Given(name) for name in ("body", "limit", *SHARED)}
    uses = {
        now: Use(body, inputs(body, {"state": Given("initial"), "index": index})),
        then: Use(
            decide,
            {**passed, "again": Ref(now, "again"), "initial": Ref(now, "state"), "index": index + 1},
            beside=True,
        ),
    }
    return Expansion(uses, {"out": Ref(then)})
