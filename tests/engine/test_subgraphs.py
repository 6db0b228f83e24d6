"""Subgraphs: dissolved, nested, checked with the rest, refused where they hold themselves."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from nodegraph.engine.check import check
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.exposed import exposed_inputs
from nodegraph.engine.graph import Body, Graph, Source
from nodegraph.engine.jsontext import Limits
from nodegraph.engine.node import node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow


class Image:
    """A value on a wire."""


class Pair(NamedTuple):
    image: Image
    number: int


@node("Load")
def load(name: str = "a") -> Pair:
    return Pair(Image(), 1)


@node("Blur")
def blur(image: Image, radius: Annotated[int, Field(ge=0, le=10)] = 1) -> Image:
    return image


@node("Frames")
def frames(image: Image) -> list[Image]:
    return [image]


@node("Loop")
def loop(image: Image, body: Body) -> Image:
    return image


REGISTRY = Registry(spec_of(function) for function in (load, blur, frames, loop))
LOAD = {"type": "Load"}
TWICE: dict[str, Any] = {
    "nodes": {
        "first": {"type": "Blur", "params": {"radius": 2}},
        "second": {"type": "Blur", "links": {"image": "first.out"}},
    },
    "inputs": {"image": "first.image", "radius": ["first.radius", "second.radius"]},
    "outputs": {"image": "second.out"},
}


def use(graph: str = "twice", link: str = "load.image", **params: Any) -> dict[str, Any]:
    return {"graph": graph, "links": {"image": link}, "params": params}


def graph_of(
    nodes: dict[str, Any], subgraphs: dict[str, Any], parts: dict[str, Any] | None = None, **more: Any
) -> Graph:
    document = {"format": 1, "nodes": nodes, "subgraphs": subgraphs, **(parts or {})}
    return check(load_workflow(document), REGISTRY, **more)


def problems_of(nodes: dict[str, Any], subgraphs: dict[str, Any], **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(WorkflowError) as caught:
        graph_of(nodes, subgraphs, **more)
    return caught.value.problems


def told(nodes: dict[str, Any], subgraphs: dict[str, Any], **more: Any) -> list[str]:
    return [str(problem) for problem in problems_of(nodes, subgraphs, **more)]


def test_an_instance_dissolves_into_its_nodes() -> None:
    nodes = {"load": LOAD, "a": use(), "b": use(link="a.image", radius=5)}
    graph = graph_of(nodes, {"twice": TWICE})
    assert list(graph.nodes) == ["load", "a/first", "a/second", "b/first", "b/second"]
    assert graph.nodes["a/first"].links == {"image": Source("load", "image")}
    assert graph.nodes["b/first"].links == {"image": Source("a/second", "out")}
    assert graph.nodes["a/first"].params == {"radius": 2}
    assert graph.nodes["a/second"].params == {}
    assert graph.nodes["b/first"].params == graph.nodes["b/second"].params == {"radius": 5}
    assert graph.targets == ("b/second",)


def test_a_wire_into_an_instance_replaces_what_was_typed_inside() -> None:
    nodes = {"load": LOAD, "a": {"graph": "twice", "links": {"image": "load.image", "radius": "load.number"}}}
    graph = graph_of(nodes, {"twice": TWICE})
    assert graph.nodes["a/first"].params == {}
    assert graph.nodes["a/first"].links["radius"] == Source("load", "number")


def test_subgraphs_nest_and_see_those_around_them() -> None:
    inner = {**TWICE}
    outer = {
        "nodes": {"x": {"graph": "inner"}, "y": use("shared", "x.image")},
        "inputs": {"image": "x.image", "radius": ["x.radius", "y.radius"]},
        "outputs": {"image": "y.image", "early": "x.image"},
        "subgraphs": {"inner": inner},
    }
    nodes = {"load": LOAD, "o": use("outer", radius=4), "z": {"type": "Blur", "links": {"image": "o.early"}}}
    graph = graph_of(nodes, {"outer": outer, "shared": TWICE}, {"outputs": {"all": "o.image"}})
    assert {"o/x/first", "o/x/second", "o/y/first", "o/y/second", "z"} < set(graph.nodes)
    assert all(graph.nodes[f"o/{id}"].params == {"radius": 4} for id in ("x/first", "x/second", "y/first", "y/second"))
    assert graph.nodes["z"].links == {"image": Source("o/x/second", "out")}
    assert graph.outputs == {"all": Source("o/y/second", "out")}


def test_an_inner_subgraph_hides_an_outer_one_of_its_name_and_is_not_seen_outside() -> None:
    one = {"nodes": {"b": {"type": "Blur"}}, "inputs": {"image": "b.image"}, "outputs": {"image": "b.out"}}
    outer = {
        "nodes": {"x": {"graph": "twice"}},
        "inputs": {"image": "x.image"},
        "outputs": {"image": "x.image"},
        "subgraphs": {"twice": one, "hidden": one},
    }
    graph = graph_of({"load": LOAD, "o": use("outer"), "t": use()}, {"outer": outer, "twice": TWICE})
    assert set(graph.nodes) == {"load", "o/x/b", "t/first", "t/second"}
    assert told({"load": LOAD, "h": use("hidden")}, {"outer": outer}) == [
        "h.graph: unknown subgraph 'hidden'; the subgraphs in reach are 'outer'"
    ]


@pytest.mark.parametrize(
    ("subgraphs", "message"),
    [
        ({"a": {"nodes": {"x": {"graph": "a"}}}}, "the subgraph 'a' holds itself: a -> a"),
        (
            {"a": {"nodes": {"x": {"graph": "b"}}}, "b": {"nodes": {"y": {"graph": "a"}}}},
            "the subgraph 'a' holds itself: a -> b -> a",
        ),
        (
            {
                "a": {
                    "nodes": {"l": LOAD, "x": {"type": "Loop", "params": {"body": "a"}, "links": {"image": "l.image"}}}
                }
            },
            "the subgraph 'a' holds itself: a -> a",
        ),
    ],
)
def test_a_subgraph_that_holds_itself_is_refused_by_name(subgraphs: dict[str, Any], message: str) -> None:
    problems = problems_of({"top": {"graph": "a"}}, subgraphs)
    assert [problem.message for problem in problems] == [message]
    assert problems[0].code == "recursive_subgraph"


def test_a_body_that_comes_back_to_itself_through_an_input_is_refused() -> None:
    wrap = {
        "nodes": {"l": LOAD, "loop": {"type": "Loop", "links": {"image": "l.image"}}},
        "inputs": {"body": "loop.body"},
    }
    again = {"nodes": {"w": {"graph": "wrap", "params": {"body": "again"}}}}
    nodes = {"l": LOAD, "top": {"type": "Loop", "params": {"body": "again"}, "links": {"image": "l.image"}}}
    assert told(nodes, {"wrap": wrap, "again": again}) == [
        "top/w.params.body: the subgraph 'again' holds itself: again -> again"
    ]


def test_a_name_used_again_for_another_subgraph_is_no_recursion() -> None:
    a = {"nodes": {"x": {"graph": "a"}}, "subgraphs": {"a": {"nodes": {"l": LOAD}}}}
    assert list(graph_of({"top": {"graph": "a"}}, {"a": a}).nodes) == ["top/x/l"]


def test_problems_name_the_instance_and_are_told_once() -> None:
    second = {"type": "Blur", "params": {"radius": 11}, "links": {"image": "no.x"}}
    wrong = {
        "nodes": {"first": {"type": "Blurr"}, "second": second},
        "inputs": {"image": "frst.image"},
        "outputs": {"image": "second.oot"},
    }  # fmt: skip
    assert sorted(told({"load": LOAD, "a": use("wrong"), "b": use("wrong")}, {"wrong": wrong})) == [
        "a.inputs.image: there is no node 'frst' in the subgraph 'wrong' (did you mean 'first.image'?)",
        "a.outputs.image: 'a/second' (Blur) has no output 'oot'; its outputs are 'out' (did you mean 'a/second.out'?)",
        "a/first.type: unknown node type 'Blurr' (did you mean 'Blur'?)",
        "a/second.links.image: there is no node 'no' in the subgraph 'wrong'",
        "a/second.params.radius: got 11; expected an integer from 0 to 10 (did you mean 10?)",
    ]


def test_what_an_instance_is_given_is_checked_at_its_place() -> None:
    nodes = {
        "load": LOAD,
        "a": {"graph": "twice", "params": {"radius": 50, "raduis": 1}, "links": {"image": "load.number"}},
        "b": {"graph": "twice"},
        "c": {"type": "Blur", "links": {"image": "a.out"}},
        "d": {"type": "Blur", "links": {"image": "a/second.out"}},
    }
    assert sorted(told(nodes, {"twice": TWICE})) == [
        "a.links.image: got load.number of type int; expected Image (did you mean 'load.image'?)",
        "a.params.radius: got 50; expected an integer from 0 to 10 (did you mean 10?)",
        "a.params.raduis: the subgraph 'twice' has no input 'raduis'; its inputs are 'image', 'radius' "
        "(did you mean 'radius'?)",
        "b.links.image: missing; expected a wire from an output of type Image",
        "c.links.image: the subgraph 'twice' has no output 'out'; its outputs are 'image'",
        "d.links.image: there is no node 'a/second'; what is within a subgraph is reached by its outputs",
    ]


def test_a_subgraph_that_was_wrong_in_the_file_is_not_missed_again() -> None:
    nodes = {"load": LOAD, "a": use("bad"), "c": {"type": "Blur", "links": {"image": "a.image"}}}
    assert told(nodes, {"bad": 3}) == ["subgraphs.bad: a subgraph is an object with 'nodes'; got 3"]
    half = {"nodes": {"x": {"typ": "Blur"}}, "inputs": {"image": "x.image"}, "outputs": {"image": "x.out"}}
    assert told(nodes, {"bad": half}) == [
        "subgraphs.bad.nodes.x.typ: unknown key 'typ'; what may stand here is type, graph, params, links, mode "
        "(did you mean 'type'?)"
    ]


def test_a_cycle_through_subgraphs_is_named() -> None:
    nodes = {"a": use(link="b.image"), "b": use(link="a.image")}
    (problem,) = problems_of(nodes, {"twice": TWICE})
    assert problem.message.endswith("a/first -> a/second -> b/first -> b/second -> a/first")


def test_expansion_is_limited_before_it_is_done() -> None:
    subgraphs: dict[str, Any] = {"g0": {"nodes": {"l": LOAD}, "outputs": {"out": "l.image"}}}
    for level in range(1, 30):
        inner = {"x": {"graph": f"g{level - 1}"}, "y": {"graph": f"g{level - 1}"}}
        subgraphs[f"g{level}"] = {"nodes": inner, "outputs": {"out": "y.out"}}
    (problem,) = problems_of({"top": {"graph": "g29"}}, subgraphs, limits=Limits(nodes=1000))
    assert problem.code == "too_many_nodes"
    problems = problems_of({"top": {"graph": "g29"}}, subgraphs, limits=Limits(nesting=3))
    assert {problem.message for problem in problems} == {"subgraphs are nested more than 3 deep"}
    assert len(problems) == 2


def test_lists_map_through_subgraphs() -> None:
    graph = graph_of(
        {"load": LOAD, "f": {"type": "Frames", "links": {"image": "load.image"}}, "a": use(link="f.out")},
        {"twice": TWICE},
    )
    assert graph.nodes["a/first"].mapped == ("image",)
    assert graph.nodes["a/second"].mapped == ("image",)


def body_of(graph: Graph, node: str = "loop") -> Body:
    body = graph.nodes[node].params["body"]
    assert isinstance(body, Body)
    return body


def test_a_body_is_checked_and_keeps_its_inputs_open() -> None:
    nodes = {"load": LOAD, "loop": {"type": "Loop", "params": {"body": "twice"}, "links": {"image": "load.image"}}}
    body = body_of(graph_of(nodes, {"twice": TWICE}))
    assert body.name == "twice"
    assert list(body.nodes) == ["first", "second"]
    assert body.nodes["second"].links == {"image": Source("first", "out")}
    assert body.nodes["first"].params == {"radius": 2}
    assert body.targets == {"image": (("first", "image"),), "radius": (("first", "radius"), ("second", "radius"))}
    assert {name: (port.name, port.type.name) for name, port in body.inputs.items()} == {
        "image": ("image", "Image"),
        "radius": ("radius", "int"),
    }
    assert body.sources == {"image": Source("second", "out")}
    assert body.outputs["image"].type.name == "Image"


def test_a_body_may_hold_subgraphs_and_bodies() -> None:
    deep = {
        "nodes": {
            "t": {"graph": "twice"},
            "again": {"type": "Loop", "params": {"body": "twice"}, "links": {"image": "t.image"}},
        },
        "inputs": {"image": "t.image"},
        "outputs": {"image": "again.out"},
    }
    nodes = {"load": LOAD, "loop": {"type": "Loop", "params": {"body": "deep"}, "links": {"image": "load.image"}}}
    body = body_of(graph_of(nodes, {"deep": deep, "twice": TWICE}))
    assert list(body.nodes) == ["t/first", "t/second", "again"]
    assert body.targets["image"] == (("t/first", "image"),)
    assert list(body.nodes["again"].params["body"].nodes) == ["first", "second"]


def test_problems_of_a_body_are_told_under_its_node() -> None:
    bad = {
        "nodes": {"b": {"type": "Blur", "params": {"radius": 99}}, "c": {"type": "Blur"}},
        "inputs": {"image": "b.image"},
    }
    loop = {"type": "Loop", "links": {"image": "load.image"}}
    nodes = {
        "load": LOAD,
        "one": {**loop, "params": {"body": "bad"}},
        "two": {**loop, "params": {"body": "bad"}},
        "three": {**loop, "params": {"body": "bda"}},
        "four": {**loop, "params": {"body": 4}},
        "five": {"type": "Loop", "links": {"image": "load.image", "body": "load.number"}},
        "six": loop,
    }
    assert sorted(told(nodes, {"bad": bad})) == [
        "five.links.body: got a link; expected the name of a subgraph",
        "four.params.body: got 4; expected the name of a subgraph",
        "one/b.params.radius: got 99; expected an integer from 0 to 10 (did you mean 10?)",
        "one/c.links.image: missing; expected a wire from an output of type Image",
        "six.params.body: missing; expected the name of a subgraph",
        "three.params.body: unknown subgraph 'bda'; the subgraphs in reach are 'bad' (did you mean 'bad'?)",
    ]


def test_exposed_inputs_reach_into_subgraphs() -> None:
    document = {
        "format": 1,
        "nodes": {"load": LOAD, "a": use(radius=3)},
        "subgraphs": {"twice": TWICE},
        "inputs": {"softness": "a.radius", "file": "load.name", "nothing": "a.nope"},
    }
    workflow = load_workflow(document)
    exposed = exposed_inputs(workflow, REGISTRY)
    assert list(exposed) == ["softness", "file"]
    assert (exposed["softness"].port.type.name, exposed["softness"].value) == ("int", 3)
    assert (exposed["file"].value, exposed["file"].targets) == ("a", (("load", "name"),))
    good = load_workflow({**document, "inputs": {"softness": "a.radius"}})
    assert check(good, REGISTRY, inputs={"softness": 7}).nodes["a/second"].params == {"radius": 7}


@given(depth=st.integers(1, 6), width=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_dissolving_gives_what_writing_it_flat_gives(depth: int, width: int) -> None:
    """A chain of instances within instances runs the same node types in the same order as a flat chain."""
    part: dict[str, Any] = TWICE
    for _ in range(depth):
        nodes = {f"n{i}": {"graph": "inner", "links": {"image": f"n{i - 1}.image"} if i else {}} for i in range(width)}
        outputs = {"image": f"n{width - 1}.image"}
        part = {"nodes": nodes, "inputs": {"image": "n0.image"}, "outputs": outputs, "subgraphs": {"inner": part}}
    graph = graph_of({"load": LOAD, "top": use("g")}, {"g": part})
    order = list(graph.nodes)
    assert len(order) == 1 + 2 * width**depth
    assert all(graph.nodes[reader].links["image"].node == source for source, reader in pairwise(order))
