"""Pictures laid over one another: modes, pasting, Porter and Duff."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion import blending

A, B = 0.3, 0.8


def one(value: float) -> Tensor:
    return torch.full((1, 1, 1, 3), value)


@pytest.mark.parametrize(
    ("mode", "below", "above", "expected"),
    [
        ("normal", A, B, B),
        ("multiply", A, B, A * B),
        ("screen", A, B, 1 - 0.7 * 0.2),
        ("overlay", A, B, 2 * A * B),
        ("overlay", B, A, 1 - 2 * 0.2 * 0.7),
        ("soft_light", B, A, B - (1 - 2 * A) * B * (1 - B)),
        ("soft_light", 0.2, B, 0.2 + (2 * B - 1) * (((16 * 0.2 - 12) * 0.2 + 4) * 0.2 - 0.2)),
        ("soft_light", 0.36, B, 0.36 + (2 * B - 1) * (0.6 - 0.36)),
        ("difference", B, A, B - A),
        ("difference", A, B, 0.0),
    ],
)
def test_modes_are_their_formulas(mode: blending.BlendMode, below: float, above: float, expected: float) -> None:
    assert blending.blended(one(below), one(above), mode, 1.0).unique().item() == pytest.approx(expected, abs=1e-6)
    half = blending.blended(one(below), one(above), "normal", 0.5)
    assert half.unique().item() == pytest.approx((below + above) / 2)


def test_pasting_stays_within_and_follows_the_mask() -> None:
    below, above = torch.zeros(2, 3, 6, 8), torch.ones(1, 3, 4, 4)
    out = blending.pasted(below, above, 6, 3)
    assert out.sum().item() == 2 * 3 * 3 * 2
    assert out[:, :, 3:, 6:].min().item() == 1.0
    assert not below.any(), "the input is left alone"
    half = blending.pasted(below, above, 0, 0, torch.full((1, 9, 9), 0.5))
    assert half[:, :, :4, :4].unique().tolist() == [0.5]
    assert not blending.pasted(below, above, 99, 99).any()
    assert blending.pasted(below, above, 0, 0, stretch=True).min().item() == 1.0


def test_each_picture_of_a_batch_gets_its_own_and_shorter_ones_go_round() -> None:
    above = torch.arange(2.0)[:, None, None, None].expand(2, 3, 2, 2)
    assert blending.pasted(torch.zeros(3, 3, 2, 2), above, 0, 0).mean((1, 2, 3)).tolist() == [0, 1, 0]


def test_other_channels_are_told() -> None:
    with pytest.raises(ValueError, match="source: got 4 channels, expected the destination's 3"):
        blending.pasted(torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 2, 2), 0, 0)


FRACTIONS: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], float]]] = {
    "CLEAR": (lambda a, b: 0, lambda a, b: 0),
    "SRC": (lambda a, b: 1, lambda a, b: 0),
    "DST": (lambda a, b: 0, lambda a, b: 1),
    "SRC_OVER": (lambda a, b: 1, lambda a, b: 1 - a),
    "DST_OVER": (lambda a, b: 1 - b, lambda a, b: 1),
    "SRC_IN": (lambda a, b: b, lambda a, b: 0),
    "DST_IN": (lambda a, b: 0, lambda a, b: a),
    "SRC_OUT": (lambda a, b: 1 - b, lambda a, b: 0),
    "DST_OUT": (lambda a, b: 0, lambda a, b: 1 - a),
    "SRC_ATOP": (lambda a, b: b, lambda a, b: 1 - a),
    "DST_ATOP": (lambda a, b: 1 - b, lambda a, b: a),
    "XOR": (lambda a, b: 1 - b, lambda a, b: 1 - a),
}
"""Porter and Duff's table: how much of each picture stays, for alphas a (source) and b (destination)."""


@pytest.mark.parametrize("mode", sorted(FRACTIONS))
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.25, 0.5), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_the_twelve_rules_are_porter_and_duffs(mode: blending.PorterDuff, a: float, b: float) -> None:
    of_source, of_destination = (fraction(a, b) for fraction in FRACTIONS[mode])
    alpha = a * of_source + b * of_destination
    color = A * a * of_source + B * b * of_destination
    given, given_alpha = blending.porter_duff(one(A), one(a)[..., :1], one(B), one(b)[..., :1], mode)
    assert given_alpha.item() == pytest.approx(alpha, abs=1e-6)
    assert given.unique().item() == pytest.approx(color / alpha if alpha > 1e-5 else 0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("ADD", 1.0), ("DARKEN", A), ("LIGHTEN", B), ("MULTIPLY", A * B), ("SCREEN", A + B - A * B),
     ("OVERLAY", 1 - 2 * (1 - A) * (1 - B))],
)  # fmt: skip
def test_the_other_modes_of_opaque_pictures_are_the_usual_ones(mode: blending.PorterDuff, expected: float) -> None:
    given, alpha = blending.porter_duff(one(A), one(1)[..., :1], one(B), one(1)[..., :1], mode)
    assert given.unique().item() == pytest.approx(expected, abs=1e-6)
    assert alpha.item() == 1.0


def test_every_mode_is_tested() -> None:
    others = {"ADD", "DARKEN", "LIGHTEN", "MULTIPLY", "SCREEN", "OVERLAY"}
    assert {*FRACTIONS, *others} == set(get_args(blending.PorterDuff))
