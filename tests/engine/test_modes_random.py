"""Muted and bypassed nodes of random graphs, against a plain account of what they mean."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.engine.check import check
from nodegraph.engine.node import node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow

Json = Any


@node("Start")
def start(value: int = 0) -> int:
    return value


@node("Need")
def need(a: int, b: int = 1) -> int:
    return a + b


@node("Text")
def text(a: int = 0, b: int = 1) -> str:
    return str(a + b)


REGISTRY = Registry(spec_of(function) for function in (start, need, text))
PASSES = {"Start": (), "Need": ("a", "b"), "Text": ()}
"""The inputs of each type that have the type of its output."""


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Json]:
    nodes: dict[str, Json] = {}
    for index in range(draw(st.integers(1, 12))):
        before = [id for id, entry in nodes.items() if entry["type"] != "Text"]
        type = draw(st.sampled_from(["Start", "Need", "Text"])) if before else "Start"
        links = {}
        if type != "Start":
            wired = ["a", "b"] if draw(st.booleans()) else ["a"]
            links = {name: f"{draw(st.sampled_from(before))}.out" for name in wired}
        entry = {"type": type, "links": links}
        mode = draw(st.sampled_from([None, None, None, "mute", "bypass"]))
        nodes[f"n{index}"] = entry | ({"mode": mode} if mode else {})
    return nodes


def without(nodes: dict[str, Json]) -> dict[str, Json]:
    """Return the nodes of the file as somebody would write it who never had those that are switched off."""
    kept: dict[str, Json] = {}
    gives: dict[str, str | None] = {}
    for id, entry in nodes.items():  # each stands after its sources
        links = {name: source for name, link in entry["links"].items() if (source := gives[link.partition(".")[0]])}
        mode = entry.get("mode")
        if mode == "mute" or (mode is None and entry["type"] == "Need" and "a" not in links):
            gives[id] = None
        elif mode == "bypass":
            gives[id] = next((links[name] for name in PASSES[entry["type"]] if name in links), None)
        else:
            gives[id] = f"{id}.out"
            kept[id] = {"type": entry["type"], "links": links}
    return kept


@given(documents())
def test_what_is_left_is_the_graph_of_a_file_without_what_is_switched_off(nodes: dict[str, Json]) -> None:
    found = check(load_workflow({"format": 1, "nodes": nodes}), REGISTRY)
    expected = check(load_workflow({"format": 1, "nodes": without(nodes)}), REGISTRY)
    assert {id: (n.spec.id, n.links) for id, n in found.nodes.items()} == {
        id: (n.spec.id, n.links) for id, n in expected.nodes.items()
    }
    assert set(found.targets) == set(expected.targets)
    assert set(found.left_out) == set(nodes) - set(found.nodes)
