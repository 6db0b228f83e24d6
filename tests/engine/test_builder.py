"""Workflows made in Python: handles, checks at once, subgraphs, files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import Enum
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import Field

from nodegraph.engine.builder import GraphBuilder, Output
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.folders import Folders
from nodegraph.engine.node import Body, File, Lazy, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow


class Image:
    """A value on a wire."""


class Latent:
    """Another."""


class Loaded(NamedTuple):
    image: Image
    latent: Latent


class Mode(Enum):
    FAST = "fast"
    GOOD = "good"


@node("Load")
def load(file: Annotated[str, File("input")] = "a.png") -> Loaded:
    return Loaded(Image(), Latent())


@node("pack.Blur")
def blur(image: Image, radius: Annotated[int, Field(ge=0, le=10)] = 1, mode: Mode = Mode.FAST) -> Image:
    return image


@node("Frames")
def frames(image: Image) -> list[Image]:
    return [image]


@node("Show", output=True)
def show(images: list[Image]) -> None: ...


@node("Loop")
def loop(image: Image, body: Body, later: Lazy[Image] | None = None) -> Image:
    return image


REGISTRY = Registry(spec_of(function) for function in (load, blur, frames, show, loop))


@pytest.fixture
def graph() -> GraphBuilder:
    return GraphBuilder(REGISTRY)


def test_a_graph_is_the_file_one_would_write(graph: GraphBuilder, tmp_path: Path) -> None:
    image, latent = graph.add("Load", "load")
    soft = graph.add("pack.Blur", image=image, radius=3, mode=Mode.GOOD)
    softer = graph.add("pack.Blur", image=soft)
    graph.add("Show", images=graph.add("Frames", image=softer))
    graph.expose("radius", soft.input("radius"), softer.input("radius"))
    graph.output("picture", softer)
    assert isinstance(latent, Output)
    expected = {
        "format": 1,
        "nodes": {
            "load": {"type": "Load"},
            "blur": {"type": "pack.Blur", "params": {"radius": 3, "mode": "good"}, "links": {"image": "load.image"}},
            "blur_2": {"type": "pack.Blur", "links": {"image": "blur.out"}},
            "frames": {"type": "Frames", "links": {"image": "blur_2.out"}},
            "show": {"type": "Show", "links": {"images": "frames.out"}},
        },
        "inputs": {"radius": ["blur.radius", "blur_2.radius"]},
        "outputs": {"picture": "blur_2.out"},
    }
    assert graph.workflow().dump() == expected
    graph.save(tmp_path / "flow.json")
    assert load_workflow(tmp_path / "flow.json").dump() == expected
    checked = graph.check(radius=5)
    assert [checked.nodes[id].params["radius"] for id in ("blur", "blur_2")] == [5, 5]


def test_outputs_are_attributes_and_items(graph: GraphBuilder) -> None:
    node = graph.add("Load")
    assert str(node.image) == str(node["image"]) == "load.image"
    assert [output.name for output in node] == ["image", "latent"]
    assert {"image", "latent", "input", "set"} <= set(dir(node))
    with pytest.raises(AttributeError, match="Load has no output 'imgae'; its outputs are 'image', 'latent'"):
        node.imgae  # noqa: B018
    with pytest.raises(WorkflowError, match="did you mean 'image'"):
        node["imgae"]
    assert not hasattr(node, "__len__")
    assert copy.copy(node).id == "load"


def test_set_replaces_what_was_given(graph: GraphBuilder) -> None:
    image = graph.add("Load").image
    node = graph.add("pack.Blur", image=image, radius=3)
    assert node.set(radius=5) is node
    assert graph.workflow().nodes["blur"].params == {"radius": 5}


def wrong(action: Callable[[], Any]) -> list[str]:
    with pytest.raises(WorkflowError) as caught:
        action()
    return [str(problem) for problem in caught.value.problems]


def test_every_wrong_input_of_a_call_is_told_and_nothing_is_added(graph: GraphBuilder) -> None:
    loaded = graph.add("Load")
    assert wrong(lambda: graph.add("pack.Blur", image=loaded.latent, radius=40, raduis=1, mode="best")) == [
        "blur.links.image: got load.latent of type Latent; expected Image (did you mean 'load.image'?)",
        "blur.params.radius: got 40; expected an integer from 0 to 10 (did you mean 10?)",
        "blur.params.raduis: pack.Blur has no input 'raduis'; its inputs are 'image', 'radius', 'mode' "
        "(did you mean 'radius'?)",
        "blur.params.mode: got the text \"best\"; expected one of 'fast', 'good'",
    ]
    assert list(graph.workflow().nodes) == ["load"]


def test_wrong_types_ids_and_handles_are_told(graph: GraphBuilder) -> None:
    loaded, shown = graph.add("Load"), graph.add("Show", "shown")
    other = GraphBuilder(REGISTRY).add("Load")
    blurred = graph.add("pack.Blur")
    assert wrong(lambda: graph.add("Blur")) == ["blur_2: unknown node type 'Blur' (did you mean 'pack.Blur'?)"]
    assert wrong(lambda: graph.add("Load", "load")) == ["load: 'load' is taken"]
    assert wrong(lambda: graph.add("Load", "a.b"))[0].startswith("a.b: 'a.b' is no node id")
    assert wrong(lambda: blurred.set(image=loaded)) == [
        "blur.links.image: got the node 'load' (Load); expected one of its outputs, 'image', 'latent'"
    ]
    assert wrong(lambda: blurred.set(image=shown)) == [
        "blur.links.image: got the node 'shown' (Show); expected a node that has an output"
    ]
    assert "is of another graph" in wrong(lambda: blurred.set(image=other.image))[0]
    assert "is of another graph" in wrong(lambda: graph.expose("x", other.input("file")))[0]
    assert "is of another graph" in wrong(lambda: graph.output("x", other.image))[0]
    assert "names no input" in wrong(lambda: graph.expose("a b", blurred.input("radius")))[0]
    assert "expected a name, and an output" in wrong(lambda: graph.output("x", shown))[0]
    assert "did you mean 'radius'" in wrong(lambda: blurred.input("raduis"))[0]
    assert "got a Python Image; expected a wire from an output" in wrong(lambda: blurred.set(image=Image()))[0]


def test_what_is_missing_is_told_by_the_check(graph: GraphBuilder) -> None:
    graph.add("pack.Blur")
    assert wrong(graph.check) == ["blur.links.image: missing; expected a wire from an output of type Image"]


def test_lists_map_nodes_while_they_are_built(graph: GraphBuilder) -> None:
    many = graph.add("Frames", image=graph.add("Load").image)
    soft = graph.add("pack.Blur", image=many)
    assert soft.out.type.name == "list[Image]"
    graph.add("Show", images=soft)
    assert graph.check().nodes["blur"].mapped == ("image",)
    assert "expected Image" in wrong(lambda: graph.add("Loop", later=many))[0]


def test_subgraphs_are_built_and_used(graph: GraphBuilder) -> None:
    twice = graph.subgraph("twice")
    first = twice.add("pack.Blur", "first")
    second = twice.add("pack.Blur", "second", image=first)
    twice.expose("image", first.input("image"))
    twice.expose("radius", first.input("radius"), second.input("radius"))
    twice.output("image", second)
    image = graph.add("Load").image
    used = graph.add(twice, image=image, radius=2)
    graph.add("Loop", image=used.image, body=twice)
    graph.output("done", used)
    document = graph.workflow().dump()
    assert document["nodes"]["twice"] == {"graph": "twice", "params": {"radius": 2}, "links": {"image": "load.image"}}
    assert document["nodes"]["loop"]["params"] == {"body": "twice"}
    assert document["subgraphs"]["twice"]["inputs"]["radius"] == ["first.radius", "second.radius"]
    assert list(graph.check().nodes) == ["load", "twice/first", "twice/second", "loop"]
    assert wrong(lambda: graph.add(twice, "again", radius=11, image=3)) == [
        "again.params.radius: got 11; expected an integer from 0 to 10 (did you mean 10?)",
        "again.params.image: got 3; expected a wire from an output of type Image: this input cannot be typed",
    ]
    assert "is of another graph" in wrong(lambda: twice.add("pack.Blur", image=image))[0]
    assert "or is the one that this node is in" in wrong(lambda: twice.add(twice))[0]
    assert "expected a subgraph: 'twice'" in wrong(lambda: graph.add("Loop", body="twcie"))[0]
    assert "is taken or no name" in wrong(lambda: graph.subgraph("twice"))[0]


def test_nested_subgraphs(graph: GraphBuilder) -> None:
    outer = graph.subgraph("outer")
    inner = outer.subgraph("inner")
    soft = inner.add("pack.Blur")
    inner.expose("image", soft.input("image"))
    inner.output("out", soft)
    used = outer.add(inner)
    outer.expose("image", used.input("image"))
    outer.output("out", used)
    graph.add(outer, "top", image=graph.add("Load").image)
    assert list(graph.check().nodes) == ["load", "top/inner/blur"]
    assert "is of another graph" in wrong(lambda: graph.add(inner))[0]


def test_files_are_looked_for_where_folders_are_known(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("x")
    graph = GraphBuilder(REGISTRY, folders=Folders({"input": [tmp_path]}))
    graph.add("Load", file="cat.png")
    graph.add("Load", file=PureWindowsPath("cat.png"))
    assert "did you mean 'cat.png'" in wrong(lambda: graph.add("Load", file="Cat.png"))[0]


def test_a_workflow_is_not_changed_by_what_is_built_later(graph: GraphBuilder) -> None:
    node = graph.add("pack.Blur", radius=1)
    before = graph.workflow()
    node.set(radius=2)
    graph.add("Load")
    assert before.nodes["blur"].params == {"radius": 1}
    assert list(before.nodes) == ["blur"]
