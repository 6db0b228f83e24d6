"""Checks: every problem at once, by node and field, with what was got, what would fit and the nearest valid value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import Field

from nodegraph.engine.check import check
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.graph import Graph, Source
from nodegraph.engine.node import Lazy, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow


class Image:
    """A value on a wire."""


class Latent:
    """Another."""


class Loaded(NamedTuple):
    image: Image
    latent: Latent


@node("Load", aliases=("OldLoad",))
def load(name: str = "a.png", index: int = 0) -> Loaded:
    return Loaded(Image(), Latent())


@node("Blur")
def blur(image: Image, radius: Annotated[float, Field(ge=0, le=10)] = 1.0) -> Image:
    return image


@node("Frames")
def frames(image: Image) -> list[Image]:
    return [image]


@node("Show", output=True)
def show(images: list[Image], anything: Any = None) -> None: ...


@node("Pick")
def pick(which: bool, then: Lazy[Image], number: Lazy[int]) -> Image:
    return then.get()


@node("Typed")
def typed(
    steps: Annotated[int, Field(ge=1, le=10_000)] = 20,
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0,
) -> int:
    return steps


REGISTRY = Registry(spec_of(function) for function in (load, blur, frames, show, pick, typed))
Nodes = Mapping[str, Any]


def graph_of(nodes: Nodes, parts: Mapping[str, Any] | None = None, **options: Any) -> Graph:
    return check(load_workflow({"format": 1, "nodes": nodes, **(parts or {})}), REGISTRY, **options)


def problems_of(nodes: Nodes, parts: Mapping[str, Any] | None = None, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(WorkflowError) as caught:
        graph_of(nodes, parts, **options)
    return caught.value.problems


def told(nodes: Nodes, parts: Mapping[str, Any] | None = None, **options: Any) -> list[str]:
    return [str(problem) for problem in problems_of(nodes, parts, **options)]


def test_a_good_workflow_becomes_a_graph_in_order() -> None:
    nodes = {
        "show": {"type": "Show", "links": {"images": "frames.out"}},
        "frames": {"type": "Frames", "links": {"image": "soft.out"}},
        "soft": {"type": "Blur", "params": {"radius": 3}, "links": {"image": "load.image"}},
        "load": {"type": "Load", "params": {"name": "b.png", "index": 0}},
        "spare": {"type": "Load"},
    }
    graph = graph_of(nodes, {"outputs": {"soft": "soft.out"}})
    order = list(graph.nodes)
    assert order.index("load") < order.index("soft") < order.index("frames") < order.index("show")
    assert graph.nodes["soft"].links == {"image": Source("load", "image")}
    assert graph.nodes["soft"].params == {"radius": 3.0}
    assert type(graph.nodes["soft"].params["radius"]) is float
    assert graph.nodes["load"].params == {"name": "b.png"}
    assert set(graph.targets) == {"show", "soft"}
    assert graph.outputs == {"soft": Source("soft", "out")}
    assert list(graph.network.predecessors("soft")) == ["load"]


def test_without_sinks_the_unread_nodes_are_the_targets() -> None:
    graph = graph_of({"a": {"type": "Load"}, "b": {"type": "Blur", "links": {"image": "a.image"}}})
    assert graph.targets == ("b",)
    assert graph_of({}).targets == ()


def test_every_problem_of_every_node_is_told_at_once() -> None:
    nodes = {
        "a": {"type": "Lod"},
        "b": {"type": "Blur", "params": {"radius": 30, "radios": 1}, "links": {"image": "l.latent"}},
        "c": {"type": "Blur", "links": {"image": "l.imag"}},
        "d": {"type": "Blur", "links": {"image": "m.image"}},
        "e": {"type": "Blur", "params": {"image": 3}},
        "f": {"type": "Blur"},
        "g": {"type": "Blur", "links": {"image": "a.image"}},
        "h": {"type": "Blur", "links": {"image": "l"}},
        "i": {"typ": "Load"},
        "j": {"type": "Blur", "links": {"image": "i.image"}},
        "k": {"type": "Blur", "params": {"image": 1}, "links": {"image": "l.image"}},
        "l": {"type": "Load"},
    }
    assert sorted(told(nodes)) == [
        "a.type: unknown node type 'Lod' (did you mean 'Load'?)",
        "b.links.image: got l.latent of type Latent; expected Image (did you mean 'l.image'?)",
        "b.params.radios: Blur has no input 'radios'; its inputs are 'image', 'radius' (did you mean 'radius'?)",
        "b.params.radius: got 30; expected a number from 0 to 10 (did you mean 10.0?)",
        "c.links.image: 'l' (Load) has no output 'imag'; its outputs are 'image', 'latent' (did you mean 'l.image'?)",
        "d.links.image: there is no node 'm'",
        "e.params.image: got 3; expected a wire from an output of type Image: this input cannot be typed",
        "f.links.image: missing; expected a wire from an output of type Image",
        "h.links.image: got the text \"l\"; expected 'node.name': the id of a node, a dot, the name of what it has "
        "there",
        "i.typ: unknown key 'typ'; what may stand here is type, graph, params, links, mode (did you mean 'type'?)",
        "k.links.image: 'image' stands in params and in links; an input is either typed or wired",
    ]


def test_a_list_maps_the_node_and_what_follows() -> None:
    nodes = {
        "l": {"type": "Load"},
        "f": {"type": "Frames", "links": {"image": "l.image"}},
        "b": {"type": "Blur", "links": {"image": "f.out"}},
        "c": {"type": "Blur", "links": {"image": "b.out"}},
        "s": {"type": "Show", "links": {"images": "c.out"}},
    }
    graph = graph_of(nodes)
    assert {id: node.mapped for id, node in graph.nodes.items()} == {
        "l": (), "f": (), "b": ("image",), "c": ("image",), "s": (),
    }  # fmt: skip
    nodes["g"] = {"type": "Frames", "links": {"image": "f.out"}}
    nodes["h"] = {"type": "Blur", "links": {"image": "g.out"}}
    assert told(nodes) == [
        "h.links.image: got g.out of type list[list[Image]]; expected Image "
        "(a node runs once an item of a list, not of a list of lists)"
    ]


def test_lazy_inputs_may_be_typed_but_not_mapped() -> None:
    nodes = {
        "l": {"type": "Load"},
        "p": {"type": "Pick", "params": {"which": True, "number": 3}, "links": {"then": "l.image"}},
    }
    assert graph_of(nodes).nodes["p"].params == {"which": True, "number": 3}
    nodes["f"] = {"type": "Frames", "links": {"image": "l.image"}}
    nodes["q"] = {"type": "Pick", "params": {"which": True, "number": 3}, "links": {"then": "f.out"}}
    assert "a lazy input cannot be taken item by item from a list" in told(nodes)[0]


def test_an_alias_finds_its_type() -> None:
    assert graph_of({"a": {"type": "OldLoad"}}).nodes["a"].spec.id == "Load"


def test_the_plugin_of_an_absent_type_is_named() -> None:
    registry = Registry()
    registry.remove_plugin("pack", "no torch")
    with pytest.raises(WorkflowError, match=r"'pack.Blur'; the plugin 'pack' is quarantined: no torch"):
        check(load_workflow({"format": 1, "nodes": {"a": {"type": "pack.Blur"}}}), registry)


def blurs(links: Mapping[str, str]) -> dict[str, Any]:
    return {id: {"type": "Blur", "links": {"image": f"{source}.out"}} for id, source in links.items()}


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ({"a": "b", "b": "c", "c": "a", "tail": "a"}, ["a -> c -> b -> a"]),
        ({"a": "a"}, ["a -> a"]),
        ({"a": "b", "b": "a", "x": "y", "y": "x"}, ["a -> b -> a", "x -> y -> x"]),
    ],
)
def test_each_cycle_is_named_by_its_nodes(links: dict[str, str], expected: list[str]) -> None:
    problems = problems_of(blurs(links))
    assert [problem.code for problem in problems] == ["cycle"] * len(expected)
    for problem, path in zip(problems, expected, strict=True):
        assert problem.message == f"nodes wait for each other in a cycle: {path}"


def test_a_cycle_hides_no_other_problem() -> None:
    nodes = blurs({"a": "b", "b": "a"}) | {"t": {"type": "Typed", "params": {"steps": 0}}}
    nodes["a"]["params"] = {"radius": -1}
    assert {problem.code for problem in problems_of(nodes)} == {"cycle", "out_of_bounds"}
    assert len(problems_of(nodes)) == 3


def test_exposed_inputs_are_set_with_the_same_checks() -> None:
    nodes = {"t": {"type": "Typed", "params": {"steps": 5}}, "u": {"type": "Typed"}}
    parts = {"inputs": {"steps": ["t.steps", "u.steps"], "seed": "t.seed"}}
    graph = graph_of(nodes, parts, inputs={"steps": 7})
    assert [graph.nodes[id].params for id in "tu"] == [{"steps": 7}, {"steps": 7}]
    assert graph.document["nodes"]["t"]["params"] == {"steps": 7}
    assert told(nodes, parts, inputs={"stpes": 7, "seed": "x"}) == [
        "inputs.stpes: there is no input 'stpes'; the workflow exposes 'seed', 'steps' (did you mean 'steps'?)",
        't.params.seed: got the text "x"; expected an integer from 0 to 18446744073709551615',
    ]


def test_setting_an_input_replaces_its_wire() -> None:
    nodes = {"t": {"type": "Typed"}, "u": {"type": "Typed", "links": {"steps": "t.out"}}}
    graph = graph_of(nodes, {"inputs": {"steps": "u.steps"}}, inputs={"steps": 3})
    assert (graph.nodes["u"].params, graph.nodes["u"].links) == ({"steps": 3}, {})


def test_exposures_that_lead_nowhere_are_told() -> None:
    nodes = {"t": {"type": "Typed"}, "b": {"type": "Blur", "links": {"image": "l.image"}}, "l": {"type": "Load"}}
    parts = {
        "inputs": {"a": "x.steps", "b": "t.stps", "c": "t", "d": "b.image"},
        "outputs": {"e": "t.steps", "f": "x.out", "g": "b.out"},
    }
    assert told(nodes, parts) == [
        "inputs.a: there is no node 'x'",
        "inputs.b: 't' (Typed) has no input 'stps' (did you mean 'steps'?)",
        "inputs.c: got the text \"t\"; expected 'node.name': the id of a node, a dot, the name of what it has there",
        "inputs.d: leads to b.image, which cannot be typed: it takes a wire from an output of type Image",
        "outputs.e: 't' (Typed) has no output 'steps'; its outputs are 'out' (did you mean 't.out'?)",
        "outputs.f: there is no node 'x'",
    ]


def test_a_missing_value_names_the_input_that_sets_it() -> None:
    nodes = {"p": {"type": "Pick", "links": {"then": "l.image"}, "params": {"number": 1}}, "l": {"type": "Load"}}
    assert told(nodes, {"inputs": {"choice": "p.which"}}) == [
        "p.params.which: missing; expected true or false (the workflow's input 'choice' sets it)"
    ]
    assert (
        graph_of(nodes, {"inputs": {"choice": "p.which"}}, inputs={"choice": True}).nodes["p"].params["which"] is True
    )


def test_an_input_that_is_only_misspelled_is_not_missing_too() -> None:
    nodes = {"l": {"type": "Load"}, "b": {"type": "Blur", "links": {"imag": "l.image"}}}
    assert told(nodes) == [
        "b.links.imag: Blur has no input 'imag'; its inputs are 'image', 'radius' (did you mean 'image'?)"
    ]
