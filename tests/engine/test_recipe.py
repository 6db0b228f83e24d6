"""Recipes: equal where the result is equal, different where anything that it is made of is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from nodegraph import File, node
from nodegraph.engine.executor import Executor
from nodegraph.engine.explain import History
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph, Instance, Source
from nodegraph.engine.naming import Namer
from nodegraph.engine.node import spec_of
from nodegraph.engine.plan import make_plan
from nodegraph.engine.recipe import UncacheableError, canonical
from nodegraph.engine.spec import NodeSpec

Build = Callable[..., Graph]


class Colour(Enum):
    RED = 1
    BLUE = 2


class Style(BaseModel):
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Point:
    x: int
    y: float


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def same(a: object, b: object) -> bool:
    """Tell whether two JSON values are the same, types and signs of zero included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


@given(json_values, json_values)
def test_texts_are_equal_where_values_are(a: object, b: object) -> None:
    assert (canonical(a) == canonical(b)) == same(a, b)


@given(json_values)
def test_texts_are_one_line_of_ascii(value: object) -> None:
    text = canonical(value)
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize(
    "values",
    [
        (1, 1.0, True, "1", Decimal(1)),
        (2**64 - 1, 2**64, float(2**64)),
        ([1, 2], (1, 2), {1, 2}, "[1,2]"),
        ([[1], 2], [1, [2]], [[1, 2]]),
        ({"a": 1}, {"a": "1"}, [("a", 1)]),
        (Colour.RED, Colour.BLUE, 1, "RED"),
        (Style(name="a"), Style(name="a", weight=2), {"name": "a", "weight": 1.0}),
        (Point(1, 2.0), Point(2, 1.0), {"x": 1, "y": 2.0}),
        (None, "None", "null", [], {}, ()),
        ("a,b", ["a", "b"], "a\nb", 'a"b', "a\\nb"),
        (PurePosixPath("a"), "a", b"a"),
        (0.0, -0.0, float("nan"), float("inf")),
        (0.1, 0.1 + 2**-56),
    ],
)
def test_different_values_have_different_texts(values: tuple[object, ...]) -> None:
    assert len({canonical(value) for value in values}) == len(values)


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical({"a": 1, "b": {"c": 2, "d": 3}}) == canonical({"b": {"d": 3, "c": 2}, "a": 1})


def circle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize("value", [object(), [object()], {"a": lambda: 1}, circle(), Exception])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(UncacheableError):
        canonical(value)


def name_of(spec: NodeSpec, params: Mapping[str, Any], *, folders: Folders | None = None, **settings: Any) -> str:
    """Return the recipe of a node of these parameters."""
    graph = Graph({"x": Instance("x", spec, params)}, ("x",))
    plan = make_plan(graph, ["x"], {}, Namer(settings, folders), History())
    return plan.demand.tasks["x"].recipe or plan.demand.tasks["x"].reason


@node("Draw", version="2", settings=["device"])
def draw(seed: int, name: Annotated[str, File("input")] = "", size: float = 1.0) -> int:
    return seed


def test_everything_a_result_is_made_of_is_in_its_recipe(tmp_path: Path) -> None:
    spec = spec_of(draw, plugin="p", plugin_version="1")
    picture, folders = tmp_path / "a.png", Folders({"input": [tmp_path]})
    picture.write_bytes(b"1")
    with_file = name_of(spec, {"seed": 1, "name": "a.png"}, folders=folders)
    picture.write_bytes(b"22")
    variants = [
        with_file,
        name_of(spec, {"seed": 1, "name": "a.png"}, folders=folders),
        name_of(spec, {"seed": 1}),
        name_of(spec, {"seed": 2}),
        name_of(spec, {"seed": 1, "size": 2.0}),
        name_of(replace(spec, version="3"), {"seed": 1}),
        name_of(replace(spec, plugin_version="2"), {"seed": 1}),
        name_of(replace(spec, id="Paint"), {"seed": 1}),
        name_of(spec, {"seed": 1}, device="cuda"),
    ]
    assert len(set(variants)) == len(variants)


def test_what_changes_nothing_is_not_in_the_recipe() -> None:
    spec = spec_of(draw)
    assert name_of(spec, {"seed": 1, "size": 1.0}) == name_of(spec, {"seed": 1})
    assert name_of(spec, {"size": 2.0, "seed": 1}) == name_of(spec, {"seed": 1, "size": 2.0})
    assert name_of(spec, {"seed": 1}, other="x") == name_of(spec, {"seed": 1})
    assert name_of(replace(spec, doc="new", title="new", category="new"), {"seed": 1}) == name_of(spec, {"seed": 1})


def test_a_new_default_is_a_new_recipe() -> None:
    spec = spec_of(draw)
    port = replace(spec.inputs["size"], default=3.0)
    assert name_of(replace(spec, inputs={**spec.inputs, "size": port}), {"seed": 1}) != name_of(spec, {"seed": 1})


def test_a_parameter_without_a_form_runs_each_time_and_says_why() -> None:
    reason = name_of(spec_of(draw), {"seed": object()})
    assert "has no canonical form" in reason


def test_outputs_of_a_source_are_told_apart() -> None:
    @node("Two")
    def two() -> int:
        return 1

    @node("Take")
    def take(value: int) -> int:
        return value

    def recipe(output: str) -> str | None:
        nodes = {
            "s": Instance("s", spec_of(two)),
            "t": Instance("t", spec_of(take), {}, {"value": Source("s", output)}),
        }
        return make_plan(Graph(nodes, ("t",)), ["t"], {}, Namer({}, None), History()).demand.tasks["t"].recipe

    assert recipe("out") != recipe("other")


def test_results_of_a_node_that_runs_each_time_are_known_by_value(build: Build, calls: list[str]) -> None:
    rolls = iter([1, 1, 2])

    @node("Dice", cache=False)
    def dice() -> int:
        return next(rolls)

    nodes = {
        "d": {"type": "Dice"},
        "n": {"type": "Number"},
        "a": {"type": "Add", "links": {"a": "d.out", "b": "n.out"}},
    }
    executor = Executor()
    graph = build({**nodes, "end": {"type": "Add", "links": {"a": "a.out"}}}, dice)
    assert [executor.run(graph).nodes["end"]["out"] for _ in range(3)] == [2, 2, 3]
    assert calls == ["n", "a", "end", "a", "end"]  # the second time `n` is not even asked for


def test_what_reads_a_value_without_a_name_is_not_kept(build: Build, calls: list[str]) -> None:
    @node("Fresh", cache=False)
    def fresh() -> Any:
        return object()

    @node("Size")
    def size(thing: Any) -> int:
        calls.append("size")
        return 1

    executor = Executor()
    nodes = {"f": {"type": "Fresh"}, "s": {"type": "Size", "links": {"thing": "f.out"}}}
    graph = build({**nodes, "end": {"type": "Add", "links": {"a": "s.out"}}}, fresh, size)
    for _ in range(2):
        executor.run(graph)
    assert calls == ["size", "end"] * 2
    assert len(executor.cache) == 0


def test_a_file_named_by_wire_is_part_of_the_recipe(build: Build, calls: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"1")

    @node("Read")
    def read(name: Annotated[str, File("input")]) -> int:
        calls.append("read")
        return 1

    @node("Text")
    def text(text: str) -> str:
        return text

    def graph(name: str) -> Graph:
        nodes = {"n": {"type": "Text", "params": {"text": name}}, "r": {"type": "Read", "links": {"name": "n.out"}}}
        return build({**nodes, "end": {"type": "Add", "links": {"a": "r.out"}}}, read, text)

    executor = Executor(folders=Folders({"input": [tmp_path]}))
    executor.run(graph("a.png"))
    executor.run(graph("a.png"))
    assert calls == ["read", "end"]
    picture.write_bytes(b"22")
    executor.run(graph("a.png"))
    assert calls == ["read", "end", "read", "end"]
    assert "a.png" in str(executor.run(graph("b.png")).failures["r"])
