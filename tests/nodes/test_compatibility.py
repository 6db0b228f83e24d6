"""Built-in nodes that carry a ComfyUI name take and give what ComfyUI's do (`tests/data/comfyui_object_info.json`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nodegraph.engine.plugins import load_plugins
from nodegraph.engine.spec import InputPort, NodeSpec
from nodegraph.runtime import SPECS

ORACLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "comfyui_object_info.json").read_bytes())
TYPES = {"INT": "int", "FLOAT": "float", "STRING": "str", "BOOLEAN": "bool"}
BOUNDS = {"min": "minimum", "max": "maximum"}


@cache
def specs() -> dict[str, NodeSpec]:
    return dict(load_plugins(builtin=["nodegraph.nodes"], specs=SPECS, entry_points=False).registry)


SHARED = sorted(set(specs()) & set(ORACLE))


def theirs(name: str) -> dict[str, Any]:
    inputs = ORACLE[name]["input"]
    return {**inputs.get("required", {}), **inputs.get("optional", {})}


def test_the_nodes_that_a_text_to_image_workflow_needs_are_there() -> None:
    wanted = {
        "CheckpointLoaderSimple", "CLIPTextEncode", "CLIPSetLastLayer", "EmptyLatentImage", "KSampler", "VAEDecode",
        "VAEEncode", "LoadImage", "SaveImage", "PreviewImage", "PrimitiveInt", "PrimitiveString",
    }  # fmt: skip
    assert wanted <= set(SHARED)


def test_only_control_nodes_and_a_few_more_have_no_twin() -> None:
    ours = {name for name, spec in specs().items() if name not in ORACLE and not spec.category.startswith("control")}
    assert ours == {"CLIPPromptStyle"}


@pytest.mark.parametrize("name", SHARED)
def test_inputs_have_the_same_names_and_types(name: str) -> None:
    ports = specs()[name].inputs
    assert set(ports) == set(theirs(name))
    for key, (kind, *_) in theirs(name).items():
        if isinstance(kind, list):
            assert ports[key].choices is not None or ports[key].file is not None, f"{key} is a choice"
        else:
            assert _type(ports[key]) == kind.lower().replace("_", ""), key


def _type(port: InputPort) -> str:
    names = {ours: comfy for comfy, ours in TYPES.items()}
    return names.get(port.type.name, port.type.name).lower()


@pytest.mark.parametrize("name", SHARED)
def test_defaults_and_bounds_are_the_same(name: str) -> None:
    ports = specs()[name].inputs
    for key, (kind, *rest) in theirs(name).items():
        options = rest[0] if rest else {}
        if "default" in options:
            assert ports[key].default == options["default"], key
        if isinstance(kind, str) and kind in ("INT", "FLOAT"):
            schema = ports[key].type.schema or {}
            told = {bound: schema.get(ours) for bound, ours in BOUNDS.items()}
            assert told == {bound: options.get(bound) for bound in BOUNDS}, key


@pytest.mark.parametrize("name", SHARED)
def test_choices_are_among_theirs(name: str) -> None:
    for key, (kind, *_) in theirs(name).items():
        choices = specs()[name].inputs[key].choices
        if isinstance(kind, list) and choices is not None:
            assert set(choices()) <= set(kind), key


@pytest.mark.parametrize("name", SHARED)
def test_outputs_have_the_same_types_in_the_same_order(name: str) -> None:
    names = {ours: comfy for comfy, ours in TYPES.items()}
    given = [names.get(port.type.name, port.type.name).upper() for port in specs()[name].outputs.values()]
    assert given == ORACLE[name]["output"]
    assert specs()[name].output == ORACLE[name]["output_node"]


@pytest.mark.parametrize("name", SHARED)
def test_titles_and_categories_are_the_same(name: str) -> None:
    assert (specs()[name].title or name) == (ORACLE[name]["display_name"] or name)
    assert specs()[name].category == ORACLE[name]["category"]


@pytest.mark.parametrize("name", sorted(specs()))
def test_every_node_explains_itself(name: str) -> None:
    assert specs()[name].doc.endswith((".", ")", "`")), "the docstring is the node's help"
