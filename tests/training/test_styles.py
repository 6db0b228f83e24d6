"""Styles: the same scenes at the same places, told apart by their colours and by what surrounds an object."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from nodegraph.training import checker
from nodegraph.training.autoencoder import ReconstructionConfig, crops, crops_in
from nodegraph.training.loop import Draws
from nodegraph.training.scenes import COLOURS, Item, Scene, draw_scene, halo_mask, nominal_places, paint, render
from nodegraph.training.scenes import shape_mask as mask_of
from nodegraph.training.styles import FLAT, HOLLOW, NIGHT, STICKERS, STYLES, Style

LONE = Scene((Item("circle", "red", "large"),), "centre", "blue")


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_every_colour_stands_out_from_every_background_of_another_name(style: Style) -> None:
    assert tuple(style.objects) == tuple(style.backgrounds) == COLOURS
    for name, other in permutations(COLOURS, 2):
        assert np.linalg.norm(np.subtract(style.objects[name], style.backgrounds[other])) > checker.FOREIGN


def test_every_true_picture_of_the_night_passes_the_checker_of_the_night() -> None:
    rng = np.random.default_rng(11)
    for _ in range(100):
        scene = draw_scene(rng, None)
        verdict = checker.judge(render(scene, rng, NIGHT), scene, NIGHT)
        assert verdict.passed, (scene, verdict.complaints)


def test_the_checker_of_one_style_refuses_pictures_of_another() -> None:
    flat, night = (paint(LONE, nominal_places(LONE), style) for style in (FLAT, NIGHT))
    assert checker.judge(flat, LONE).passed
    assert checker.judge(night, LONE, NIGHT).passed
    assert not checker.judge(flat, LONE, NIGHT).background
    assert not checker.judge(night, LONE).background
    other = replace(LONE, items=(replace(LONE.items[0], colour="purple"),))
    assert not checker.judge(night, other, NIGHT).colours


def test_an_object_shines_on_what_is_around_it_the_less_the_farther() -> None:
    night = paint(LONE, nominal_places(LONE), NIGHT).astype(int)
    away = np.abs(night[64, 64 + 24 :] - np.array(NIGHT.backgrounds["blue"])).sum(-1)
    assert away[2] > 60
    assert away[2] > away[8] > away[14] > away[20] == 0
    assert tuple(night[64, 64]) == NIGHT.objects["red"]


def test_a_border_of_the_told_width_is_about_an_object() -> None:
    flat, sticker = (paint(LONE, nominal_places(LONE), style) for style in (FLAT, STICKERS))
    row = (sticker[64] == STICKERS.objects["white"]).all(-1)
    assert row.sum() == pytest.approx(2 * STICKERS.border, abs=2)
    changed = (flat != sticker).any(-1)
    assert not changed[56:72, 56:72].any()


@pytest.mark.parametrize(
    ("colour", "background", "rim"), [("red", "blue", "white"), ("white", "blue", "black"), ("white", "black", "red")]
)
def test_a_border_stands_out_from_both_sides(colour: str, background: str, rim: str) -> None:
    assert STICKERS.rim(colour, background) == STICKERS.objects[rim]


def test_a_hole_shows_the_background_and_has_the_shape_of_the_object() -> None:
    flat, hollow = (paint(LONE, nominal_places(LONE), style) for style in (FLAT, HOLLOW))
    hole = (flat != hollow).any(-1)
    assert tuple(hollow[64, 64]) == HOLLOW.backgrounds["blue"]
    assert tuple(hollow[64, 64 + 18]) == HOLLOW.objects["red"]
    assert checker.name_shape(hole) == "circle"
    assert hole.sum() == pytest.approx(0.25 * (flat == FLAT.objects["red"]).all(-1).sum(), rel=0.3)


def test_what_reaches_over_the_edge_of_the_canvas_is_cut_off() -> None:
    (placed,) = nominal_places(LONE)
    corner = paint(LONE, (replace(placed, x=2, y=126),), NIGHT)
    assert corner.shape == (128, 128, 3)
    assert tuple(corner[126, 2]) == NIGHT.objects["red"]


def test_a_halo_keeps_the_light_that_it_spreads() -> None:
    assert halo_mask("star", 30, 4.0).sum() == pytest.approx(mask_of("star", 30).sum(), rel=1e-3)


def test_crops_in_two_styles_show_the_same_places() -> None:
    config = ReconstructionConfig(batch=4, crop=48)
    flat, night = crops_in(Draws.of(1, 2), config, (FLAT, NIGHT))
    assert flat.equal(crops(Draws.of(1, 2), config))
    assert night.equal(crops(Draws.of(1, 2), config, NIGHT))
    assert not flat.equal(night)
