"""Scenes: the same again for a seed, objects well apart, splits that never meet."""

import numpy as np
import pytest

from nodegraph.training import scenes
from nodegraph.training.latents import draw_scenes
from nodegraph.training.scenes import SIDE, Item, Scene
from nodegraph.training.styles import PALETTE

PAIR = Scene((Item("circle", "red", "small"), Item("square", "blue", "large")), "above", "yellow")


def test_same_seed_draws_the_same_scenes_and_pixels() -> None:
    first, again = (np.random.default_rng(3) for _ in range(2))
    for _ in range(10):
        one, two = scenes.draw_scene(first), scenes.draw_scene(again)
        assert one == two
        assert np.array_equal(scenes.render(one, first), scenes.render(two, again))


def test_no_combination_of_training_is_held_out() -> None:
    training = {scene.combination for scene in draw_scenes(3000, 0)}
    held_out = {scene.combination for scene in draw_scenes(1000, 0, "held out")}
    assert len(held_out) > 500
    assert not training & held_out


def test_about_a_tenth_of_all_scenes_is_held_out() -> None:
    rng = np.random.default_rng(0)
    drawn = [scenes.draw_scene(rng, None) for _ in range(4000)]
    assert np.mean([scenes.is_held_out(scene) for scene in drawn]) == pytest.approx(scenes.HELD_OUT_SHARE, abs=0.02)


def test_a_pair_is_held_out_on_every_background() -> None:
    decisions = {scenes.is_held_out(Scene(PAIR.items, PAIR.arrangement, colour)) for colour in scenes.COLOURS}
    assert len(decisions) == 1


def test_objects_differ_from_the_background_and_keep_clear_of_each_other_and_the_border() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        scene = scenes.draw_scene(rng)
        assert all(item.colour != scene.background for item in scene.items)
        placed = scenes.place(scene, rng)
        for one in placed:
            for middle in (one.x, one.y):
                assert one.across / 2 + 3 <= middle <= SIDE - one.across / 2 - 3
        if len(placed) == 2:
            apart = max(abs(placed[0].x - placed[1].x), abs(placed[0].y - placed[1].y))
            assert apart >= (placed[0].across + placed[1].across) / 2 + 6


def test_pixels_show_the_palette() -> None:
    picture = scenes.render(PAIR, np.random.default_rng(0))
    assert picture.shape == (SIDE, SIDE, 3)
    assert tuple(picture[0, 0]) == PALETTE["yellow"]
    assert tuple(picture[SIDE // 4, SIDE // 2]) == PALETTE["red"]
    assert tuple(picture[3 * SIDE // 4, SIDE // 2]) == PALETTE["blue"]


@pytest.mark.parametrize("shape", scenes.SHAPES)
@pytest.mark.parametrize("across", [28, 47])
def test_a_mask_is_smooth_and_as_large_as_told(shape: str, across: int) -> None:
    mask = scenes.shape_mask(shape, across)
    assert 0 < ((mask > 0.1) & (mask < 0.9)).sum() < mask.size / 4
    rows, columns = np.nonzero(mask > 0.5)
    assert across * 0.8 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= across + 1


def test_an_unknown_shape_is_told() -> None:
    with pytest.raises(ValueError, match="shape 'cube' is not one of circle"):
        scenes.outline("cube")
