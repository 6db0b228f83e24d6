"""Muted and bypassed nodes: what is left is the graph of a file without them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import Field

from nodegraph.engine.aim import aimed
from nodegraph.engine.cache import NoCache
from nodegraph.engine.check import check
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.executor import Executor
from nodegraph.engine.exposed import exposed_inputs
from nodegraph.engine.graph import Body, Graph, Source
from nodegraph.engine.marks import Lazy
from nodegraph.engine.node import is_node, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.variants import Variants
from nodegraph.engine.workflow import load_workflow
from nodegraph.nodes import control

Json = Any


class Image:
    """A value on a wire."""


class Mask:
    """Another one."""


class Loaded(NamedTuple):
    image: Image
    mask: Mask


@node("Load")
def load(name: str = "a") -> Loaded:
    return Loaded(Image(), Mask())


@node("Blur")
def blur(image: Image, mask: Mask | None = None, radius: Annotated[int, Field(ge=0)] = 1) -> Image:
    return image


@node("Mix")
def mix(first: Image, second: Image, mask: Mask) -> Loaded:
    return Loaded(first, mask)


@node("Seconds")
def seconds(whole: int = 1, image: Image | None = None) -> float:
    return 1.0


@node("Frames")
def frames(image: Image) -> list[Image]:
    return [image]


@node("Any")
def any_(condition: bool, value: Lazy[Any]) -> Any:
    return value.get()


@node("Turns")
def loop(image: Image, body: Body) -> Image:
    return image


@node("Save", output=True)
def save(image: Image) -> None:
    return None


CONTROL = [value for value in vars(control).values() if is_node(value)]
REGISTRY = Registry(spec_of(f) for f in (load, blur, mix, seconds, frames, any_, loop, save, *CONTROL))


def made(type: str, mode: str | None = None, links: Mapping[str, str] | None = None, **params: Json) -> dict[str, Json]:
    return {
        "type": type, "params": params, "links": dict(links or {}), **({"mode": mode} if mode else {}),
    }  # fmt: skip


def graph(nodes: Mapping[str, Json], **parts: Json) -> Graph:
    return check(load_workflow({"format": 1, "nodes": nodes, **parts}), REGISTRY)


def told(found: Graph) -> dict[str, Any]:
    return {id: (n.spec.id, dict(n.params), dict(n.links), n.mapped) for id, n in found.nodes.items()}


CHAIN: dict[str, Json] = {
    "load": made("Load"),
    "soft": made("Blur", links={"image": "load.image"}, radius=2),
    "softer": made("Blur", links={"image": "soft.out", "mask": "load.mask"}),
    "save": made("Save", links={"image": "softer.out"}),
}


def switched(**modes: str) -> dict[str, Json]:
    nodes = copy.deepcopy(CHAIN)
    for id, mode in modes.items():
        nodes[id]["mode"] = mode
    return nodes


def test_what_is_muted_takes_along_what_needs_it() -> None:
    found = graph({**switched(soft="mute"), "other": made("Save", links={"image": "load.image"})})
    assert list(found.nodes) == ["load", "other"]
    assert found.targets == ("other",)
    assert found.left_out == {
        "soft": "it is muted",
        "softer": "its input 'image' needs 'soft', which is muted",
        "save": "its input 'image' needs 'softer', which is left out too",
    }


def test_an_input_that_need_not_be_given_is_not_wired() -> None:
    nodes = {**copy.deepcopy(CHAIN), "masked": made("Load", "mute")}
    nodes["softer"]["links"]["mask"] = "masked.mask"
    without = copy.deepcopy(CHAIN)
    del without["softer"]["links"]["mask"]
    assert told(graph(nodes)) == told(graph(without))


def test_what_is_bypassed_passes_its_first_fitting_input_on() -> None:
    without = copy.deepcopy(CHAIN)
    del without["soft"]
    without["softer"]["links"]["image"] = "load.image"
    found = graph(switched(soft="bypass"))
    assert told(found) == told(graph(without))
    assert found.left_out == {"soft": "it is bypassed"}
    assert graph(switched(soft="bypass", softer="bypass")).nodes["save"].links == {"image": Source("load", "image")}


def test_recipes_are_those_of_a_file_without_the_node() -> None:
    def recipes(nodes: Mapping[str, Json]) -> dict[str, str | None]:
        plan = Executor(NoCache()).plan(graph(nodes))
        return {id: task.recipe for id, task in plan.demand.tasks.items()}

    without = copy.deepcopy(CHAIN)
    del without["soft"]
    without["softer"]["links"]["image"] = "load.image"
    assert recipes(switched(soft="bypass")) == recipes(without)


def test_the_same_type_comes_before_one_that_merely_fits() -> None:
    nodes = {
        "load": made("Load"),

        "mix": made("Mix", "bypass", {"mask": "load.mask", "second": "soft.out", "first": "load.image"}),
        "soft": made("Blur", links={"image": "load.image"}),
        "blur": made("Blur", links={"image": "mix.image", "mask": "mix.mask"}),
    }  # fmt: skip
    found = graph(nodes)
    assert found.nodes["blur"].links == {"image": Source("load", "image"), "mask": Source("load", "mask")}


def test_an_integer_is_passed_on_as_a_float_and_any_only_as_any() -> None:
    fine = {
        "number": made("Any", links={"value": "load.image"}, condition=True), "load": made("Load"),
        "kept": made("Any", "bypass", {"value": "load.image"}, condition=True),
        "save": made("Save", links={"image": "kept.out"}),
    }  # fmt: skip
    assert graph(fine).nodes["save"].links == {"image": Source("load", "image")}
    wrong = {**fine, "kept": made("Seconds", "bypass", {"whole": "number.out"})}
    wrong["read"] = made("Any", links={"value": "kept.out"}, condition=True)
    assert graph({key: wrong[key] for key in ("number", "load", "kept", "read")}).nodes["read"].links == {
        "value": Source("number", "out")
    }


def test_a_bypassed_node_without_a_fitting_input_is_as_muted() -> None:
    nodes = {"load": made("Load", "bypass"), "save": made("Save", links={"image": "load.image"})}
    left_out = graph({**nodes, "other": made("Load")}).left_out
    assert left_out["save"] == "its input 'image' needs 'load', which is bypassed and has nothing to pass on"


def test_lists_pass_a_bypassed_node_whole() -> None:
    nodes = {
        "load": made("Load"), "frames": made("Frames", links={"image": "load.image"}),
        "soft": made("Blur", "bypass", {"image": "frames.out"}), "save": made("Save", links={"image": "soft.out"}),
    }  # fmt: skip
    assert graph(nodes).nodes["save"].mapped == ("image",)


def test_what_is_switched_off_is_not_checked() -> None:
    nodes = {
        "gone": made("FromAPluginThatIsGone", "mute", anything=1),
        "wrong": made("Blur", "mute", {"image": "load.mask"}, radius=-1),
        "lacks": made("Mix", "bypass"),
        **CHAIN,
    }
    assert list(graph(nodes).nodes) == list(CHAIN)


def test_another_mode_is_a_problem() -> None:
    with pytest.raises(WorkflowError, match="'mode' is 'mute' or 'bypass'; got the text \"off\""):
        graph(switched(soft="off"))


def test_a_cycle_is_told_whatever_is_bypassed_on_it() -> None:
    nodes = {"a": made("Blur", "bypass", {"image": "b.out"}), "b": made("Blur", links={"image": "a.out"})}
    with pytest.raises(WorkflowError, match="cycle"):
        graph(nodes)


def test_a_file_keeps_its_modes() -> None:
    workflow = load_workflow({"format": 1, "nodes": switched(soft="bypass")})
    assert workflow.dump()["nodes"]["soft"]["mode"] == "bypass"
    assert "mode" not in workflow.dump()["nodes"]["load"]
    assert load_workflow(workflow.dump()) == workflow


# Targets


def test_a_target_that_is_left_out_is_a_problem() -> None:
    found = graph({**switched(soft="mute"), "other": made("Save", links={"image": "load.image"})})
    assert aimed(found).targets == ("other",)
    with pytest.raises(WorkflowError, match="'save' is to be reached, but is left out: its input 'image' needs"):
        aimed(found, ["save"])
    with pytest.raises(KeyError, match="is left out: its input"):
        Executor(NoCache()).plan(found, ["save"])


def test_where_nothing_is_left_nothing_else_is_run_in_its_place() -> None:
    found = graph(switched(softer="mute"))
    assert found.targets == ()
    with pytest.raises(WorkflowError, match="nothing is left to run: 'softer' is left out, as it is muted"):
        aimed(found)
    assert aimed(found, ["soft"]).targets == ("soft",)


def test_without_sinks_what_is_left_unread_is_run() -> None:
    nodes = switched(softer="mute")
    del nodes["save"]
    assert aimed(graph(nodes)).targets == ("soft",)


def test_an_output_whose_node_is_left_out_is_left_out() -> None:
    found = graph(switched(soft="mute"), outputs={"soft": "soft.out", "raw": "load.image"})
    assert found.outputs == {"raw": Source("load", "image")}


# Subgraphs

TWICE: dict[str, Any] = {
    "nodes": {
        "first": made("Blur", radius=2),
        "second": made("Blur", links={"image": "first.out", "mask": "own.mask"}),
        "own": made("Load"),
    },
    "inputs": {"image": "first.image", "mask": "second.mask", "radius": ["first.radius", "second.radius"]},
    "outputs": {"image": "second.out"},
}


def nested(inner: Mapping[str, str] | None = None, **instance: Json) -> dict[str, Json]:
    twice = copy.deepcopy(TWICE)
    for id, mode in (inner or {}).items():
        twice["nodes"][id]["mode"] = mode
    nodes = {
        "load": made("Load"), "twice": {"graph": "twice", "links": {"image": "load.image"}, **instance},
        "save": made("Save", links={"image": "twice.image"}),
    }  # fmt: skip
    return {"nodes": nodes, "subgraphs": {"twice": twice}}


def test_a_muted_instance_is_left_out_whole() -> None:
    found = graph(**nested(mode="mute"))
    assert list(found.nodes) == ["load"]
    assert found.left_out["twice/first"] == "'twice' is muted"
    assert found.left_out["save"] == "its input 'image' needs 'twice', which is muted"


def test_a_bypassed_instance_passes_on_what_fits() -> None:
    assert told(graph(**nested(mode="bypass"))) == {
        "load": ("Load", {}, {}, ()), "save": ("Save", {}, {"image": Source("load", "image")}, ()),
    }  # fmt: skip


def test_a_node_in_a_subgraph_is_switched_in_each_instance() -> None:
    found = graph(**nested({"first": "bypass"}))
    assert found.nodes["twice/second"].links["image"] == Source("load", "image")
    assert "twice/first" not in found.nodes
    assert graph(**nested({"second": "mute"})).left_out["save"].endswith("needs 'twice/second', which is muted")


def test_what_a_subgraph_has_itself_stands_in_for_what_is_left_out() -> None:
    document = nested(links={"image": "load.image", "mask": "other.mask"})
    document["nodes"]["other"] = made("Load", "mute")
    found = graph(**document)
    assert found.nodes["twice/second"].links["mask"] == Source("twice/own", "mask")


def test_a_muted_source_leaves_out_the_nodes_of_one_instance_alone() -> None:
    document = nested()
    document["nodes"] |= {
        "other": made("Load", "mute"), "again": {"graph": "twice", "links": {"image": "other.image"}},
        "saved": made("Save", links={"image": "again.image"}),
    }  # fmt: skip
    found = graph(**document)
    assert {"twice/first", "save"} <= set(found.nodes)
    assert {"again/first", "again/second", "saved", "other"} == set(found.left_out)


def test_an_instance_within_a_muted_one_is_left_out_with_it() -> None:
    outer = {"nodes": {"in": {"graph": "twice", "mode": "bypass"}}, "inputs": {"image": "in.image"}}
    document = nested()
    document["subgraphs"]["outer"] = outer | {"outputs": {"image": "in.image"}}
    document["nodes"]["twice"]["graph"] = "outer"
    assert graph(**document).nodes["save"].links == {"image": Source("load", "image")}
    document["nodes"]["twice"]["mode"] = "mute"
    assert list(graph(**document).nodes) == ["load"]


def test_inputs_that_lead_into_what_is_left_out_can_still_be_set() -> None:
    document = {"format": 1, **nested(mode="bypass"), "inputs": {"radius": "twice.radius", "name": "load.name"}}
    workflow = load_workflow(document)
    assert exposed_inputs(workflow, REGISTRY)["radius"].value == 2
    variants = Variants(workflow, REGISTRY)
    for name in ("b", "c"):
        inputs = {"radius": 5, "name": name}
        assert told(variants.graph(inputs)) == told(check(workflow, REGISTRY, inputs=inputs))


# Bodies


def body(**nodes: Json) -> dict[str, Json]:
    chain = {"one": made("Blur"), "two": made("Blur", links={"image": "one.out"}), **nodes}
    return {"nodes": chain, "inputs": {"image": "one.image"}, "outputs": {"out": "two.out"}}


def looped(part: Mapping[str, Json]) -> Body:
    nodes = {"load": made("Load"), "loop": made("Turns", links={"image": "load.image"}, body="part")}
    found: Body = graph(nodes, subgraphs={"part": part}).nodes["loop"].params["body"]
    return found


def test_what_a_bypassed_node_of_a_body_gets_goes_to_what_reads_it() -> None:
    found = looped(body(one=made("Blur", "bypass")))
    assert list(found.nodes) == ["two"]
    assert found.targets == {"image": (("two", "image"),)}
    assert found.sources == {"out": Source("two", "out")}


def test_a_muted_node_of_a_body_takes_along_what_needs_it() -> None:
    spare = body(spare=made("Load"), two=made("Blur", links={"image": "spare.image"}), one=made("Blur", "mute"))
    found = looped(spare)
    assert set(found.nodes) == {"spare", "two"}
    assert found.targets == {"image": ()}
    assert looped(body(two=made("Blur", "mute", {"image": "one.out"}))).outputs == {}


def test_a_body_that_would_give_back_its_input_is_a_problem() -> None:
    both = body(one=made("Blur", "bypass"), two=made("Blur", "bypass", {"image": "one.out"}))
    with pytest.raises(WorkflowError, match="would give back its input 'image' as 'out'"):
        looped(both)


def test_a_loop_runs_with_a_bypassed_node_in_it() -> None:
    part = {
        "nodes": {
            "a": made("Add", "bypass", {"a": "b.out"}, b=100),
            "b": made("Add", b=1), "c": made("Add", links={"a": "a.out"}, b=2),
        },
        "inputs": {"state": "b.a"}, "outputs": {"out": "c.out"},
    }  # fmt: skip

    @node("Add")
    def add(a: int, b: int = 1) -> int:
        return a + b

    registry = Registry(spec_of(function) for function in (add, *CONTROL))
    nodes = {"loop": made("Repeat", times=3, initial=0, body="part")}
    document = {"format": 1, "nodes": nodes, "outputs": {"out": "loop.out"}, "subgraphs": {"part": part}}
    result = Executor(NoCache()).run(check(load_workflow(document), registry))
    result.check()
    assert result.outputs["out"] == 9
