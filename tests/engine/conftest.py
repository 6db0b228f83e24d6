"""Small nodes and graphs for the tests of the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nodegraph import Context, node
from nodegraph.engine.check import check
from nodegraph.engine.graph import Graph
from nodegraph.engine.node import is_node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import load_workflow
from nodegraph.nodes import control

Function = Callable[..., Any]
Build = Callable[..., Graph]


@pytest.fixture
def calls() -> list[str]:
    """Return the ids of the toy nodes that have run, in order."""
    return []


@pytest.fixture
def build(calls: list[str]) -> Build:
    """Return what makes a checked graph from `nodes` (and further parts of a file), of toy, control and given nodes."""
    known = [*toys(calls), *(value for value in vars(control).values() if is_node(value))]

    def make(nodes: Mapping[str, Any], *functions: Function, **parts: Any) -> Graph:
        registry = Registry(spec_of(function, plugin="test", plugin_version="1") for function in (*known, *functions))
        return check(load_workflow({"format": 1, "nodes": nodes, **parts}), registry)

    return make


def toys(calls: list[str]) -> list[Function]:
    """Return nodes that note in `calls` that they ran."""

    @node("Number")
    def number(context: Context, value: int = 0) -> int:
        calls.append(context.node)
        return value

    @node("Add")
    def add(context: Context, a: int, b: int = 1) -> int:
        calls.append(context.node)
        return a + b

    @node("Fail")
    def fail(context: Context, a: int = 0) -> int:
        calls.append(context.node)
        raise ValueError(f"cannot take {a}")

    @node("Numbers")
    def numbers(context: Context, count: int = 3) -> list[int]:
        calls.append(context.node)
        return list(range(count))

    @node("Sum")
    def total(context: Context, items: list[int]) -> int:
        calls.append(context.node)
        return sum(items)

    @node("Sink", output=True)
    def sink(context: Context, value: Any = None) -> None:
        calls.append(context.node)

    return [number, add, fail, numbers, total, sink]
