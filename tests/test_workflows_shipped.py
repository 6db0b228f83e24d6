"""The workflows that ship are whole: they check, tell what they are, have a picture, and can be read on a canvas."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nodegraph import Options, Runtime, resources
from nodegraph.engine.spec import InputPort

FILES = sorted(resources.workflows().glob("*.json"))
NAMES = [file.stem for file in FILES]
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(Options(data=tmp_path_factory.mktemp("data")))


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((resources.workflows() / f"{name}.json").read_text(encoding="utf-8"))
    return document


def test_what_is_told_to_ship_ships() -> None:
    told = {"lora", "merge_blocks", "inpaint", "hires_fix", "area_composition", "sweep", "outpaint", "upscale"}
    assert {"text_to_image", "image_to_image", *told} <= set(NAMES)


@each
def test_a_workflow_checks_and_tells_what_it_is(name: str, runtime: Runtime) -> None:
    document = read(name)
    runtime.check(resources.workflows() / f"{name}.json")
    assert document["meta"]["title"]
    assert document["meta"]["description"].endswith(".")
    assert document["inputs"]
    assert document["outputs"]


@each
def test_a_workflow_has_a_picture_and_a_test(name: str) -> None:
    picture = resources.web() / "templates" / f"{name}.webp"
    with Image.open(picture) as shown:
        assert shown.size == (256, 256)
    assert picture.stat().st_size < 8000
    assert f'"{name}"' in (Path(__file__).parent / "test_bundled_workflows.py").read_text(encoding="utf-8")


@each
def test_nodes_and_notes_of_a_workflow_do_not_overlap(name: str, runtime: Runtime) -> None:
    document = read(name)
    view = document["view"]
    boxes = {f"note {key}": (note["x"], note["y"], note["width"], note["height"])
             for key, note in view.get(".notes", {}).items()}  # fmt: skip
    for key, node in document["nodes"].items():
        boxes[key] = (view[key]["x"], view[key]["y"], *size(node, runtime))
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        apart = a[0] + a[2] < b[0] or b[0] + b[2] < a[0] or a[1] + a[3] < b[1] or b[1] + b[3] < a[1]
        assert apart, f"{one} and {other} overlap"


def size(node: dict[str, Any], runtime: Runtime) -> tuple[int, int]:
    """Return about how wide and high the editor draws a node that has no picture to show."""
    if "graph" in node:
        return 260, 150
    spec = runtime.registry[node["type"]]
    fields = [port for port in spec.inputs.values() if is_field(port)]
    texts = sum("Multiline" in str(port.type.annotation) and port.name not in node.get("links", {}) for port in fields)
    rows = max(len(spec.inputs) - len(fields), len(spec.outputs))
    return (320 if texts else 260 if fields else 160), 46 + 22 * rows + 28 * len(fields) + 62 * texts


def is_field(port: InputPort) -> bool:
    return port.type.data or port.choices is not None or port.file is not None or port.body


def test_bundled_files_stay_small() -> None:
    sizes = {path.relative_to(resources.models()).as_posix(): path.stat().st_size / 1e6
             for path in resources.models().rglob("*.safetensors")}  # fmt: skip
    assert sizes["checkpoints/shapes_night.safetensors"] < 1.05 * sizes["checkpoints/shapes.safetensors"]
    assert sizes["loras/shapes_hollow.safetensors"] < 1.0
    assert sizes["upscale_models/shapes_2x.safetensors"] < 0.2
    assert sum(sizes.values()) < 46
    assert sum(path.stat().st_size for path in resources.workflows().iterdir()) < 100_000
