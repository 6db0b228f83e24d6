"""The workflows that ship, run by the model that ships; an independent checker reads what the pictures show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nodegraph import Options, Runtime, resources
from nodegraph.training.checker import judge
from nodegraph.training.scenes import Item, Scene
from nodegraph.training.styles import NIGHT, PALETTE

Pixels = NDArray[np.uint8]

CIRCLE = Item("circle", "red", "large")
ABOVE = Scene((Item("circle", "red", "small"), Item("square", "blue", "large")), "above", "yellow")
BESIDE = Scene((Item("triangle", "green", "large"), Item("heart", "purple", "large")), "left of", "white")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.chdir(tmp_path)
    return Runtime(Options(data=tmp_path / "data"))


def run(runtime: Runtime, name: str, **inputs: object) -> Pixels:
    outputs = runtime.run(resources.workflows() / f"{name}.json", inputs=inputs)
    outputs.result.check()
    return np.asarray(outputs.pictures[0].pillow)


def run_two(runtime: Runtime, name: str, **inputs: object) -> tuple[Pixels, Pixels]:
    """Return what the workflow saves and what it shows beside it."""
    outputs = runtime.run(resources.workflows() / f"{name}.json", inputs=inputs)
    outputs.result.check()
    saved, shown = (
        next(picture for picture in outputs.pictures if picture.node == node) for node in ("save", "compare")
    )
    return np.asarray(saved.pillow), np.asarray(shown.pillow)


def example(name: str) -> Pixels:
    return np.asarray(Image.open(resources.workflows() / name))


def assert_shows(picture: Pixels, scene: Scene) -> None:
    verdict = judge(picture, scene)
    assert verdict.passed, verdict.complaints


def near(pixels: Pixels, colour: str) -> NDArray[np.bool_]:
    """Tell which pixels (..., 3) have about a colour of the palette."""
    away: NDArray[np.bool_] = np.abs(pixels.astype(int) - np.array(PALETTE[colour])).max(-1) < 40
    return away


def sharpness(picture: Pixels) -> float:
    """Return how steep a picture's edges are."""
    values = picture.astype(np.float64)
    return float(sum(np.square(np.diff(values, axis=axis)).mean() for axis in (0, 1)))


def test_text_to_image_shows_what_its_prompt_says(runtime: Runtime) -> None:
    assert_shows(run(runtime, "text_to_image"), ABOVE)


def test_text_to_image_shows_what_another_prompt_says(runtime: Runtime) -> None:
    prompt = "a large green triangle left of a large purple heart on a white background"
    assert_shows(run(runtime, "text_to_image", prompt=prompt), BESIDE)


def test_image_to_image_keeps_more_of_its_picture_the_less_it_is_told_to_change(runtime: Runtime) -> None:
    drawn = run(runtime, "image_to_image", strength=0.0).astype(np.float32)
    changes = [np.abs(run(runtime, "image_to_image", strength=strength) - drawn).mean() for strength in (0.2, 0.8)]
    assert 0 < changes[0] < changes[1]


def test_inpaint_changes_what_is_masked_and_leaves_the_rest_as_it_was(runtime: Runtime) -> None:
    given = example("example_masked.png")
    masked = given[..., 3] == 0
    made = run(runtime, "inpaint")
    assert np.array_equal(made[~masked], given[..., :3][~masked])
    assert_shows(given[..., :3], Scene((CIRCLE, Item("square", "blue", "large")), "left of", "yellow"))
    assert_shows(made, Scene((CIRCLE, Item("star", "green", "large")), "left of", "yellow"))


def test_outpaint_paints_beside_a_picture_that_stays(runtime: Runtime) -> None:
    given = example("example_half.png")
    made = run(runtime, "outpaint")
    assert made.shape == (128, 128, 3)
    assert np.array_equal(made[:, :64], given)
    assert_shows(made, Scene((CIRCLE, Item("heart", "purple", "large")), "left of", "yellow"))


def test_hires_fix_draws_the_same_scene_larger_and_sharper_than_enlarged(runtime: Runtime) -> None:
    made, enlarged = run_two(runtime, "hires_fix")
    assert made.shape == enlarged.shape == (256, 256, 3)
    scene = Scene((Item("star", "green", "large"), Item("heart", "red", "large")), "left of", "white")
    assert_shows(np.asarray(Image.fromarray(made).resize((128, 128), Image.Resampling.BOX)), scene)
    assert sharpness(made) > 1.2 * sharpness(enlarged)


def test_area_composition_shows_each_prompt_in_its_area(runtime: Runtime) -> None:
    made = run(runtime, "area_composition")
    for (top, left), item, background in (
        ((0, 0), Item("heart", "red", "large"), "blue"),
        ((0, 128), Item("circle", "yellow", "large"), "blue"),
        ((128, 0), Item("triangle", "orange", "large"), "green"),
        ((128, 128), Item("square", "white", "large"), "green"),
    ):
        inner = made[top + 4 : top + 124, left + 4 : left + 124]  # where areas meet, their colours mix
        assert_shows(inner, Scene((item,), "centre", background))


def test_sweep_lays_out_a_row_a_prompt_and_a_column_a_number_of_steps(runtime: Runtime) -> None:
    prompts = "a large red circle on a yellow background\na large white heart on a purple background"
    made = run(runtime, "sweep", prompts=prompts, fewest_steps=2, most_steps=15, step=12)
    assert made.shape == (128 * 2 + 4, 128 * 2 + 4, 3)
    few, many = made[:, :128], made[:, 132:]
    assert_shows(many[:128], Scene((CIRCLE,), "centre", "yellow"))
    assert_shows(many[132:], Scene((Item("heart", "white", "large"),), "centre", "purple"))
    assert not judge(few[:128], Scene((CIRCLE,), "centre", "yellow")).passed


def test_a_lora_makes_the_same_shapes_hollow_and_changes_nothing_at_strength_0(runtime: Runtime) -> None:
    scene = Scene((Item("heart", "purple", "large"), Item("circle", "green", "large")), "left of", "yellow")
    made, without = run_two(runtime, "lora")
    assert_shows(without, scene)
    for x, item in zip((32, 96), scene.items, strict=True):
        assert near(made[64, x], "yellow")
        assert near(without[64, x], item.colour)
        filled, hollow = (near(picture, item.colour).sum() for picture in (without, made))
        assert 0.4 * filled < hollow < 0.9 * filled
    assert np.array_equal(run_two(runtime, "lora", strength=0.0)[0], without)


def test_a_merged_model_draws_between_two_others(runtime: Runtime) -> None:
    scene = Scene((Item("star", "yellow", "large"), Item("heart", "red", "large")), "left of", "blue")
    made, row = run_two(runtime, "merge_blocks")
    first, second = row[:, :128], row[:, 264:]
    assert np.array_equal(row[:, 132:260], made)
    assert_shows(first, scene)
    assert judge(second, scene, NIGHT).passed
    light = [int(picture[:8, :8].astype(int).sum()) for picture in (first, made, second)]
    assert light[0] > light[1] * 1.1 > light[2] * 1.2


def test_a_merge_of_one_model_alone_is_that_model(runtime: Runtime) -> None:
    ratios = {"input_blocks": 0.0, "middle_block": 0.0, "output_blocks": 0.0}
    made, row = run_two(runtime, "merge_blocks", **ratios, steps=4)
    assert np.array_equal(row[:, 264:], made)
    assert not np.array_equal(row[:, :128], made)


def test_upscale_draws_the_same_picture_twice_as_large_and_sharper_than_without_a_network(runtime: Runtime) -> None:
    made, plain = run_two(runtime, "upscale")
    assert made.shape == plain.shape == (256, 256, 3)
    scene = Scene((Item("circle", "blue", "large"), Item("triangle", "orange", "small")), "above", "white")
    assert_shows(np.asarray(Image.fromarray(made).resize((128, 128), Image.Resampling.BOX)), scene)
    assert sharpness(made) > 1.1 * sharpness(plain)
