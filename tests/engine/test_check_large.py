"""Checks of large and of arbitrary workflows: limits, speed, and never another exception than `WorkflowError`."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from nodegraph.engine.check import check
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.graph import Graph
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.node import Body, Lazy, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow


class Image:
    """A value on a wire."""


class Loaded(NamedTuple):
    image: Image
    number: int


@node("Load")
def load(name: str = "") -> Loaded:
    return Loaded(Image(), 1)


@node("Blur")
def blur(image: Image, radius: Annotated[float, Field(ge=0, le=10)] = 1.0) -> Image:
    return image


@node("Frames")
def frames(image: Image) -> list[Image]:
    return [image]


@node("Show", output=True)
def show(images: list[Image]) -> None: ...


@node("Loop")
def loop(which: bool, image: Lazy[Image], body: Body) -> Image:
    return image.get()


REGISTRY = Registry(spec_of(function) for function in (load, blur, frames, show, loop))


def graph_of(nodes: Mapping[str, Any], **options: Any) -> Graph:
    return check(load_workflow({"format": 1, "nodes": nodes}), REGISTRY, **options)


def problems_of(nodes: Mapping[str, Any], **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(WorkflowError) as caught:
        graph_of(nodes, **options)
    return caught.value.problems


def blurs(links: Mapping[str, str]) -> dict[str, Any]:
    return {id: {"type": "Blur", "links": {"image": f"{source}.out"}} for id, source in links.items()}


def test_the_number_of_nodes_is_limited() -> None:
    nodes = {f"n{number}": {"type": "Load"} for number in range(11)}
    assert len(graph_of(nodes, limits=Limits(nodes=11)).nodes) == 11
    (problem,) = problems_of(nodes, limits=Limits(nodes=10))
    assert problem.message == "with its subgraphs dissolved the workflow has more than 10 nodes"


def chain(count: int) -> dict[str, Any]:
    links = {"n0": "load.image", **{f"n{index}": f"n{index - 1}.out" for index in range(1, count)}}
    made = {id: {"type": "Blur", "params": {"radius": 2}, "links": {"image": link}} for id, link in links.items()}
    return {"load": {"type": "Load"}, **made}


def timed(action: Callable[[], object]) -> float:
    """Return the processor's seconds; what other tests left behind is not looked through for garbage meanwhile."""
    gc.collect()
    gc.freeze()
    try:
        start = time.process_time()
        action()
        return time.process_time() - start
    finally:
        gc.unfreeze()


def test_ten_thousand_nodes_take_no_second_and_no_deep_stack() -> None:
    workflow = load_workflow({"format": 1, "nodes": chain(10_000)})
    assert timed(lambda: check(workflow, REGISTRY)) < 1


def test_a_cycle_of_ten_thousand_is_named_in_a_second() -> None:
    nodes = blurs({f"n{index}": f"n{(index + 1) % 10_000}" for index in range(10_000)})
    found: list[Problem] = []
    assert timed(lambda: found.extend(problems_of(nodes))) < 2
    (problem,) = found
    assert len(problem.got) == 10_000  # type: ignore[arg-type]
    assert "9988 more" in problem.message


def test_ten_thousand_problems_are_told_in_seconds() -> None:
    nodes = {f"n{index}": {"type": "Blurr", "links": {"image": f"m{index}.out"}} for index in range(10_000)}
    found: list[Problem] = []
    assert timed(lambda: found.extend(problems_of(nodes))) < 10
    assert len(found) == 20_000
    assert len(str(WorkflowError(found)).splitlines()) == 102


IDS = st.sampled_from(["a", "b", "c", "up"])
LINKS = st.sampled_from(["a.image", "b.out", "c.out", "a", "x.out", "up.image", "b.image", ""])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([1])
PORTS = st.sampled_from(["image", "radius", "images", "which", "body", "name"])
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Load", "Blur", "Frames", "Show", "Loop", "Nope"]),
        "graph": st.sampled_from(["g", "h", "x"]),
        "params": st.dictionaries(PORTS, VALUES, max_size=2),
        "links": st.dictionaries(PORTS, LINKS, max_size=2),
    },
)
GRAPHS = st.fixed_dictionaries(
    {"nodes": st.dictionaries(IDS, ENTRIES, max_size=4)},
    optional={
        "inputs": st.dictionaries(st.sampled_from(["image", "r"]), LINKS, max_size=2),
        "outputs": st.dictionaries(st.sampled_from(["image", "out"]), LINKS, max_size=2),
    },
)


@given(GRAPHS, st.dictionaries(st.sampled_from(["g", "h"]), GRAPHS, max_size=2))
@settings(max_examples=300, deadline=None)
def test_any_workflow_is_a_graph_or_a_workflow_error(document: dict[str, Any], subgraphs: dict[str, Any]) -> None:
    try:
        graph = check(load_workflow({"format": 1, **document, "subgraphs": subgraphs}), REGISTRY)
    except WorkflowError as error:
        text = str(error)
    else:
        place = {id: index for index, id in enumerate(graph.nodes)}
        links = [(place[source.node], place[id]) for id, n in graph.nodes.items() for source in n.links.values()]
        assert all(source < reader for source, reader in links)
        text = "a graph"
    assert text
