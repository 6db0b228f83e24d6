"""The checker passes what the drawing code draws and finds every kind of planted error."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodegraph.training import checker
from nodegraph.training.scenes import SHAPES, SIZES, Item, Scene, draw_scene, render, shape_mask
from nodegraph.training.styles import PALETTE

PAIR = Scene((Item("circle", "red", "small"), Item("square", "blue", "large")), "above", "yellow")
LONE = Scene((Item("heart", "white", "small"),), "bottom right", "purple")


def drawn(scene: Scene, seed: int = 0) -> NDArray[np.uint8]:
    return render(scene, np.random.default_rng(seed))


def with_first(**changes: str) -> Scene:
    return replace(PAIR, items=(replace(PAIR.items[0], **changes), PAIR.items[1]))


def test_every_true_picture_passes() -> None:
    rng = np.random.default_rng(11)
    for _ in range(300):
        scene = draw_scene(rng, None)
        verdict = checker.judge(render(scene, rng), scene)
        assert verdict.passed, (scene, verdict.complaints)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_every_shape_is_named_at_every_size(shape: str, size: str) -> None:
    scene = Scene((Item(shape, "black", size),), "centre", "white")
    _, found, strays = checker.read(drawn(scene))
    assert [one.shape for one in found] == [shape]
    assert strays == 0


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (with_first(colour="green"), "colours"),
        (with_first(shape="heart"), "shapes"),
        (with_first(size="large"), "sizes"),
        (replace(PAIR, background="white"), "background"),
        (replace(PAIR, arrangement="left of"), "arrangement"),
        (replace(PAIR, items=PAIR.items[:1], arrangement="centre"), "count"),
        (replace(PAIR, items=PAIR.items[::-1]), "shapes"),
    ],
)
def test_a_picture_of_another_scene_fails_where_it_differs(wrong: Scene, part: str) -> None:
    verdict = checker.judge(drawn(wrong), PAIR)
    assert not verdict.passed
    assert not getattr(verdict, part)
    assert verdict.complaints


def test_an_extra_object_fails() -> None:
    picture = drawn(PAIR)
    mask = shape_mask("star", 20)[..., None] > 0.5
    picture[4:26, 4:26] = np.where(mask, np.array(PALETTE["black"], np.uint8), picture[4:26, 4:26])
    verdict = checker.judge(picture, PAIR)
    assert verdict.complaints == ("3 objects, not 2",)


def test_an_object_in_another_place_fails() -> None:
    verdict = checker.judge(drawn(replace(LONE, arrangement="bottom")), LONE)
    assert not verdict.arrangement
    assert verdict.shapes


def test_an_object_of_two_colours_fails() -> None:
    picture = drawn(PAIR)
    picture[96:112, 40:90][(picture[96:112, 40:90] == PALETTE["blue"]).all(-1)] = PALETTE["green"]
    assert not checker.judge(picture, PAIR).colours


def test_a_spotted_background_fails_and_a_single_fleck_does_not() -> None:
    picture = drawn(PAIR)
    picture[2:4, 2:6] = PALETTE["black"]
    assert checker.judge(picture, PAIR).passed
    for column in range(8, 120, 16):
        picture[60:64, column : column + 3] = PALETTE["black"]
    assert not checker.judge(picture, PAIR).background


def test_a_shapeless_region_is_a_blob() -> None:
    rng = np.random.default_rng(0)
    blob = np.kron(rng.random((6, 6)) > 0.45, np.ones((5, 5))) > 0
    assert checker.name_shape(blob) == "blob"


def test_noise_is_not_mistaken_for_anything() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    assert not checker.judge(noise, PAIR).passed


def test_regions_are_told_apart_by_edges_not_corners() -> None:
    mask = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], bool)
    assert [int(region.sum()) for region in checker.regions(mask)] == [2, 2, 1]
