"""Nodes that ask a person, in whole runs and called alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from nodegraph import Cancelled, Context, Options, Runtime, Waiting
from nodegraph.diffusion.values import Image
from nodegraph.engine.errors import NodeError
from nodegraph.nodes.gate import choose_image, gate

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    (tmp_path / "in").mkdir()
    for index in range(3):
        Pillow.new("RGB", (8, 8), COLOURS[index]).save(tmp_path / "in" / f"{index}.png")
    return Runtime(Options(input=(tmp_path / "in",), output=tmp_path / "out", data=tmp_path / "data", plugins=False))


def loads() -> dict[str, Any]:
    nodes: dict[str, Any] = {
        f"load{index}": {"type": "LoadImage", "params": {"image": f"{index}.png"}} for index in range(3)
    }
    nodes["two"] = {"type": "ImageBatch", "links": {"image1": "load0.image", "image2": "load1.image"}}
    nodes["batch"] = {"type": "ImageBatch", "links": {"image1": "two.out", "image2": "load2.image"}}
    return nodes


def workflow(**asks: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "nodes": {
            **loads(),
            "ask": {"links": {asks.pop("port"): "batch.out"}, **asks},
            "invert": {"type": "ImageInvert", "links": {"image": f"ask.{asks.pop('output', 'out')}"}},
            "save": {"type": "SaveImage", "links": {"images": "invert.out"}},
        },
    }


GATE = workflow(type="Gate", port="value")
CHOOSE = workflow(type="ChooseImage", port="images")
CHOOSE["nodes"]["invert"]["links"]["image"] = "ask.images"


def test_a_gate_shows_the_pictures_and_holds_back_what_comes_after(runtime: Runtime, tmp_path: Path) -> None:
    outputs = runtime.run(GATE)
    assert list(outputs.result.waiting) == ["ask"]
    assert outputs.result.waiting["ask"].choices == ("go on", "stop")
    assert outputs.result.skipped == {"invert": "ask", "save": "ask"}
    assert [file.parent for file in outputs.files] == [tmp_path / "data" / "temp"] * 3
    assert {picture.node for picture in outputs.pictures} == {"ask"}


def test_an_opened_gate_passes_the_pictures_on_and_what_follows_is_kept(runtime: Runtime, tmp_path: Path) -> None:
    runtime.run(GATE)
    outputs = runtime.run(GATE, answers={"ask": "go on"})
    assert [file.parent for file in outputs.files] == [tmp_path / "out"] * 3  # nothing is shown again
    assert "batch" in outputs.result.reused
    assert "invert" in outputs.result.timings
    again = runtime.run(GATE, answers={"ask": "go on"})
    assert "invert" in again.result.reused


def test_stop_at_a_gate_cancels_the_run(runtime: Runtime) -> None:
    result = runtime.run(GATE, answers={"ask": "stop"}).result
    assert result.cancelled
    assert not result.failures


def test_a_gate_offers_the_choices_that_are_typed() -> None:
    context = Context("ask", answers={"ask": "left"})
    passed = gate(context, 3, "Where to?", "left\n\n right ")
    assert passed.outputs["choice"] == "left"
    with pytest.raises(ValueError, match="expected one of 'left', 'right'"):
        gate(Context("ask", answers={"ask": "go on"}), 3, "Where to?", "left\nright")
    with pytest.raises(ValueError, match="choices is empty"):
        gate(context, 3, choices=" \n")
    with pytest.raises(Waiting, match="Where to"):
        gate(Context("ask"), 3, "Where to?")
    with pytest.raises(Cancelled):
        gate(Context("ask", answers={"ask": "stop"}), 3)


@pytest.mark.parametrize(("several", "answer", "chosen"), [(False, 1, [1]), (True, [2, 0], [2, 0]), (True, 1, [1])])
def test_the_chosen_pictures_go_on(
    runtime: Runtime,
    several: bool,
    answer: Any,
    chosen: list[int],
) -> None:
    CHOOSE["nodes"]["ask"]["params"] = {"several": several}
    asked = runtime.run(CHOOSE)
    assert asked.result.waiting["ask"].choices == (() if several else (0, 1, 2))
    assert len(asked.pictures) == 3
    outputs = runtime.run(CHOOSE, answers={"ask": answer})
    colours = [Pillow.open(file).convert("RGB").getpixel((0, 0)) for file in outputs.files]
    assert colours == [tuple(255 - part for part in COLOURS[index]) for index in chosen]
    assert "invert" in runtime.run(CHOOSE, answers={"ask": answer}).result.reused


@pytest.mark.parametrize("answer", [[], [3], [True], ["a"], {"a": 1}])
def test_places_that_are_not_in_the_batch_are_refused(answer: Any) -> None:
    context = Context("ask", answers={"ask": answer})
    with pytest.raises(ValueError, match="expected a list of numbers from 0 to 1"):
        choose_image(context, Image(torch.zeros(2, 4, 4, 3)), several=True)


def test_a_single_choice_is_one_of_the_places(runtime: Runtime) -> None:
    CHOOSE["nodes"]["ask"]["params"] = {}
    with pytest.raises(NodeError, match="expected one of 0, 1, 2"):
        runtime.run(CHOOSE, answers={"ask": 3}).result.check()
