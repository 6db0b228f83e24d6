"""Variants: each set of inputs gives the graph, or the problems, that a check of its own gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from nodegraph.engine import variants as subject
from nodegraph.engine.check import check
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph
from nodegraph.engine.node import File, is_node, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.variants import Variants
from nodegraph.engine.workflow import load_workflow
from nodegraph.nodes import control

Small = Annotated[int, Field(ge=0, le=5)]


@node("v.Number")
def number(value: Small = 1, anything: Any = None) -> int:
    return value


@node("v.Add")
def add(a: int, b: Small = 2) -> int:
    return a + b


@node("v.Read")
def read(name: Annotated[str, File("input")] = "a.txt") -> str:
    return name


CONTROL = [value for value in vars(control).values() if is_node(value)]
REGISTRY = Registry(spec_of(function) for function in (number, add, read, *CONTROL))
PLUS = {"inputs": {"n": ["one.b", "two.b"], "start": "one.a"}, "outputs": {"out": "two.out"}} | {
    "nodes": {"one": {"type": "v.Add"}, "two": {"type": "v.Add", "links": {"a": "one.out"}}}
}
ROUND = {"nodes": {"s": {"type": "v.Add"}}, "inputs": {"state": "s.a"}, "outputs": {"out": "s.out"}}
OTHER = {"nodes": {"s": {"type": "v.Add", "params": {"b": 5}}}, "inputs": {"state": "s.a"}, "outputs": {"out": "s.out"}}
DOCUMENT: dict[str, Any] = {
    "format": 1,
    "nodes": {
        "first": {"type": "v.Number", "params": {"value": 3}},
        "wired": {"type": "v.Number", "links": {"value": "first.out"}},
        "twice": {"graph": "plus", "links": {"start": "wired.out"}},
        "loop": {"type": "Repeat", "params": {"times": 2, "initial": 0, "body": "round"}},
        "file": {"type": "v.Read"},
    },
    "inputs": {"value": ["first.value", "twice.n"], "n": "twice.n", "body": "loop.body", "name": "file.name"},
    "outputs": {"out": "twice.out", "loop": "loop.out"},
    "subgraphs": {"plus": PLUS, "round": ROUND, "other": OTHER},
}


def outcome(work: Any) -> Graph | list[str]:
    """Return the graph, or what is wrong."""
    try:
        found: Graph = work()
    except WorkflowError as error:
        return [str(problem) for problem in error.problems]
    return found


NAMES = ("value", "n", "body", "name", "wired.value", "first.anything", "twice.n", "first", "nobody", "nobody.value")
VALUES = st.sampled_from(
    [0, 1, 2, 3, 5, 6, -1, True, 1.0, None, "round", "other", "none", "a.txt", "b.txt", "../a.txt", [1], float("nan")]
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root: Path = tmp_path_factory.mktemp("input")
    for name in ("a.txt", "b.txt"):
        (root / name).write_text("x")
    return Folders({"input": [root]})


@given(
    several=st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3), min_size=2, max_size=8),
    names=st.lists(st.sampled_from(NAMES[:6]), unique=True, max_size=3),
    more=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_each_set_of_inputs_gives_what_a_check_of_its_own_gives(
    folders: Folders,
    several: list[dict[str, Any]],
    names: list[str],
    more: list[tuple[Any, ...]],
) -> None:
    workflow = load_workflow(DOCUMENT)
    variants = Variants(workflow, REGISTRY, folders=folders)
    alike: list[dict[str, Any]] = [dict(zip(names, values, strict=False)) for values in more]
    for inputs in (*several, *alike):
        found = outcome(partial(variants.graph, inputs))
        alone = outcome(partial(check, workflow, REGISTRY, folders=folders, inputs=inputs))
        assert found == alone
        if isinstance(found, Graph) and isinstance(alone, Graph):
            assert typed(found) == typed(alone)
            assert json.dumps(found.document) == json.dumps(alone.document)


def typed(graph: Graph) -> list[Any]:
    """Return values with their types: 1 is not True."""
    return [[(name, type(v), repr(v)) for name, v in sorted(node.params.items())] for node in graph.nodes.values()]


def test_a_workflow_is_checked_once_for_inputs_of_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[Mapping[str, Any]] = []

    def counted(*arguments: Any, **named: Any) -> Graph:
        checks.append(named["inputs"])
        return check(*arguments, **named)

    monkeypatch.setattr(subject, "check", counted)
    variants = Variants(load_workflow(DOCUMENT), REGISTRY)
    graphs = [variants.graph({"value": value}) for value in (0, 1, 2, 3)]
    assert checks == [{"value": 0}]
    assert [graph.nodes["first"].params for graph in graphs] == [{"value": 0}, {}, {"value": 2}, {"value": 3}]
    assert [graph.nodes["twice/two"].params for graph in graphs] == [{"b": 0}, {"b": 1}, {}, {"b": 3}]
    assert all(graph.nodes["loop"] is graphs[0].nodes["loop"] for graph in graphs)
