"""The workflows that ship, run by the model that ships; an independent checker reads what the pictures show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nodegraph import Options, Runtime, resources
from nodegraph.outputs import Picture
from nodegraph.training.checker import judge
from nodegraph.training.scenes import Item, Scene

ABOVE = Scene((Item("circle", "red", "small"), Item("square", "blue", "large")), "above", "yellow")
BESIDE = Scene((Item("triangle", "green", "large"), Item("heart", "purple", "large")), "left of", "white")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.chdir(tmp_path)
    return Runtime(Options(data=tmp_path / "data"))


def run(runtime: Runtime, name: str, **inputs: object) -> Picture:
    outputs = runtime.run(resources.workflows() / f"{name}.json", inputs=inputs)
    outputs.result.check()
    return outputs.pictures[0]


def assert_shows(picture: Picture, scene: Scene) -> None:
    verdict = judge(np.asarray(picture.pillow), scene)
    assert verdict.passed, verdict.complaints


def test_text_to_image_shows_what_its_prompt_says(runtime: Runtime) -> None:
    assert_shows(run(runtime, "text_to_image"), ABOVE)


def test_text_to_image_shows_what_another_prompt_says(runtime: Runtime) -> None:
    prompt = "a large green triangle left of a large purple heart on a white background"
    assert_shows(run(runtime, "text_to_image", prompt=prompt), BESIDE)


def test_image_to_image_keeps_more_of_its_picture_the_less_it_is_told_to_change(runtime: Runtime) -> None:
    drawn = np.asarray(run(runtime, "image_to_image", strength=0.0).pillow, np.float32)
    changes = [
        np.abs(np.asarray(run(runtime, "image_to_image", strength=strength).pillow, np.float32) - drawn).mean()
        for strength in (0.2, 0.8)
    ]
    assert 0 < changes[0] < changes[1]
