"""Typed values: checked strictly, and told with what would fit."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from nodegraph.engine.check import check
from nodegraph.engine.errors import Problem, WorkflowError
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph
from nodegraph.engine.node import Choices, File, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.values import MisfitError, Values
from nodegraph.engine.workflow import load_workflow


class Image:
    """A value on a wire."""


class Mode(Enum):
    FAST = "fast"
    GOOD = "good"


class Box(BaseModel):
    x: int
    y: int = 0


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


@node("Load")
def load(name: Annotated[str, File("input")] = "a.png") -> Image:
    return Image()


@node("Show")
def show(anything: Any = None) -> None: ...


@node("Typed")
def typed(
    steps: Annotated[int, Field(ge=1, le=10_000)] = 20,
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0,
    cfg: float = 8.0,
    sampler: Annotated[str, Choices(lambda: ("euler", "heun"))] = "euler",
    crop: Literal["disabled", "center"] = "disabled",
    mode: Mode = Mode.FAST,
    on: bool = False,
    text: str = "",
    sizes: tuple[int, ...] = (),
    box: Box | None = None,
    width: Annotated[int, Field(ge=16, le=4096, multiple_of=8)] = 512,
    even: Annotated[int, AfterValidator(_even)] = 0,
    above: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    mask: Image | None = None,
) -> int:
    return steps


@node("Broken")
def broken(name: Annotated[str, Choices(lambda: [][0])]) -> str:
    return name


REGISTRY = Registry(spec_of(function) for function in (load, show, typed, broken))


def graph_of(type_: str, params: dict[str, Any], **options: Any) -> Graph:
    nodes = {"a": {"type": type_, "params": params}}
    return check(load_workflow({"format": 1, "nodes": nodes}), REGISTRY, **options)


def problem_of(type_: str, params: dict[str, Any], **options: Any) -> Problem:
    with pytest.raises(WorkflowError) as caught:
        graph_of(type_, params, **options)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("params", "message", "nearest"),
    [
        ({"steps": "20"}, 'got the text "20"; expected an integer from 1 to 10000', 20),
        ({"steps": 20.0}, "got 20.0; expected an integer from 1 to 10000", 20),
        ({"steps": 20.5}, "got 20.5; expected an integer from 1 to 10000", 20),
        ({"steps": True}, "got true; expected an integer from 1 to 10000", None),
        ({"steps": None}, "got null; expected an integer from 1 to 10000", None),
        ({"steps": []}, "got []; expected an integer from 1 to 10000", None),
        ({"steps": 0}, "got 0; expected an integer from 1 to 10000", 1),
        ({"steps": 10_001}, "got 10001; expected an integer from 1 to 10000", 10_000),
        ({"seed": -1}, "got -1; expected an integer from 0 to 18446744073709551615", 0),
        ({"seed": 2**64}, "the integer 18446744073709551616 needs more than 64 bits", None),
        ({"cfg": "8"}, 'got the text "8"; expected a number', 8.0),
        ({"cfg": False}, "got false; expected a number", None),
        ({"cfg": float("nan")}, "nan is not a finite number", None),
        ({"cfg": float("inf")}, "inf is not a finite number", None),
        ({"sampler": "eular"}, "got the text \"eular\"; expected one of 'euler', 'heun'", "euler"),
        ({"sampler": "EULER"}, "got the text \"EULER\"; expected one of 'euler', 'heun'", "euler"),
        ({"sampler": 3}, "got 3; expected text", None),
        ({"crop": "centre"}, "got the text \"centre\"; expected one of 'disabled', 'center'", "center"),
        ({"mode": "fats"}, "got the text \"fats\"; expected one of 'fast', 'good'", "fast"),
        ({"on": 1}, "got 1; expected true or false", None),
        ({"on": "true"}, 'got the text "true"; expected true or false', None),
        ({"text": 5}, "got 5; expected text", None),
        ({"sizes": [1, "2"]}, "expected a list, each item an integer (at 1: input should be a valid integer)", None),
        ({"box": {"x": 1, "z": True, "y": "a"}}, "expected an object (Box) or null (at y: input should be", None),
        ({"box": 3}, "got 3; expected an object (Box) or null", None),
        ({"width": 513}, "got 513; expected an integer from 16 to 4096, a multiple of 8", 512),
        ({"width": 9}, "got 9; expected an integer from 16 to 4096, a multiple of 8", 16),
        ({"even": 3}, "got 3: must be even", None),
        ({"above": 0}, "got 0; expected a number above 0, below 1", None),
    ],
)
def test_values_are_checked_strictly(params: dict[str, Any], message: str, nearest: object) -> None:
    workflow = load_workflow({"format": 1, "nodes": {"t": {"type": "Typed"}}})
    name = next(iter(params))
    exposed = workflow.model_copy(update={"inputs": {name: f"t.{name}"}})
    with pytest.raises(WorkflowError) as caught:
        check(exposed, REGISTRY, inputs=params)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.nearest == nearest
    assert type(problem.nearest) is type(nearest)


def test_values_that_fit_become_python_values() -> None:
    params = {
        "seed": 2**64 - 1, "cfg": 8, "steps": 20, "mode": "good", "on": True, "sizes": [1, 2], "box": {"x": 1},
        "width": 64, "mask": None, "even": 2,
    }  # fmt: skip
    found = graph_of("Typed", params).nodes["a"].params
    assert found == {
        "seed": 2**64 - 1, "mode": Mode.GOOD, "on": True, "sizes": (1, 2), "box": Box(x=1), "width": 64, "even": 2,
    }  # fmt: skip


def test_what_equals_the_default_is_left_out_though_one_is_not_true() -> None:
    assert graph_of("Typed", {"steps": 20, "cfg": 8}).nodes["a"].params == {}
    assert graph_of("Show", {"anything": 0}).nodes["a"].params == {"anything": 0}
    assert graph_of("Show", {"anything": None}).nodes["a"].params == {}


def test_a_provider_of_choices_that_fails_is_a_problem() -> None:
    problem = problem_of("Broken", {"name": "x"})
    assert problem.message == "the choices of 'name' cannot be told (IndexError: list index out of range)"


def test_an_optional_input_that_takes_a_wire_may_be_null_but_nothing_else() -> None:
    assert graph_of("Typed", {"mask": None}).nodes["a"].params == {}
    problem = problem_of("Typed", {"mask": 1})
    assert (
        str(problem)
        == "a.params.mask: got 1; expected a wire from an output of type Image | None: this input cannot be typed"
    )


def test_files_are_looked_for_and_named_with_slashes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/cat.png").write_text("x")
    folders = Folders({"input": [tmp_path]})
    graph = graph_of("Load", {"name": "sub\\cat.png"}, folders=folders)
    assert graph.nodes["a"].params == {"name": "sub/cat.png"}
    problem = problem_of("Load", {"name": "cat.png"}, folders=folders)
    assert (problem.code, problem.nearest) == ("unknown_file", "sub/cat.png")
    assert "no file 'cat.png' among the input" in problem.message
    problem = problem_of("Load", {"name": "../x"}, folders=folders)
    assert "not a name below a folder" in problem.message
    assert graph_of("Load", {"name": "anything"}).nodes["a"].params == {"name": "anything"}


def test_a_file_that_is_only_the_default_is_looked_for_too(tmp_path: Path) -> None:
    problem = problem_of("Load", {}, folders=Folders({"input": [tmp_path]}))
    assert str(problem).startswith("a.params.name: no file 'a.png' among the input")
    (tmp_path / "a.png").write_text("x")
    assert graph_of("Load", {}, folders=Folders({"input": [tmp_path]})).nodes["a"].params == {}


PORTS = REGISTRY["Typed"].inputs


@pytest.mark.parametrize(
    ("port", "value", "expected"),
    [
        ("cfg", 3, 3.0),
        ("mode", "good", Mode.GOOD),
        ("mode", Mode.GOOD, Mode.GOOD),
        ("crop", "center", "center"),
        ("sizes", (1, 2), (1, 2)),
        ("box", Box(x=1), Box(x=1)),
        ("mask", None, None),
    ],
)
def test_what_comes_by_a_wire_becomes_what_the_port_takes(port: str, value: Any, expected: Any) -> None:
    found = Values().arrived(PORTS[port], value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("port", "value", "message"),
    [
        ("steps", 0, "got 0; expected an integer from 1 to 10000"),
        ("crop", "left", "got the text \"left\"; expected one of 'disabled', 'center'"),
        ("sampler", "nope", "got the text \"nope\"; expected one of 'euler', 'heun'"),
        (
            "sizes",
            (1, "2"),
            "got a value of type tuple; expected a list, each item an integer (at 1: input should be a valid integer)",
        ),
        ("text", Image(), "got a value of type Image; expected text"),
        ("mask", 3, "got a value of type int; expected Image | None"),
    ],
)
def test_what_comes_by_a_wire_and_does_not_fit_is_told(port: str, value: Any, message: str) -> None:
    with pytest.raises(MisfitError) as caught:
        Values().arrived(PORTS[port], value)
    assert str(caught.value) == message


def test_an_image_passes_a_wire_untouched() -> None:
    image = Image()
    assert Values().arrived(PORTS["mask"], image) is image
