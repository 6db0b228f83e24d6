"""Nodes that say where a prompt holds, called as the functions that they are."""

from __future__ import annotations

import torch

from nodegraph.diffusion.sampling.regions import on_grid
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, Mask
from nodegraph.nodes import areas as nodes

PROMPT = Conditioning((ConditioningEntry(torch.zeros(1, 77, 8)), ConditioningEntry(torch.ones(1, 77, 8))))


def test_an_area_is_given_in_pixels_and_kept_in_cells() -> None:
    given = nodes.conditioning_set_area(PROMPT, 128, 64, 16, 8, 0.5)
    assert [(entry.area, entry.strength) for entry in given.entries] == [(Area(2, 1, 16, 8), 0.5)] * 2
    assert PROMPT.entries[0].area is None


def test_an_area_in_shares_is_rounded_on_the_grid_and_never_empty() -> None:
    given = nodes.conditioning_set_area_percentage(PROMPT, 0.5, 0.25, 0.5, 0.1)
    assert on_grid(given.entries[0], 40, 20).area == Area(10, 4, 10, 10)
    nothing = nodes.conditioning_set_area_percentage(PROMPT, 0.0, 0.0)
    assert on_grid(nothing.entries[0], 40, 20).area == Area(0, 0, 1, 1)


def test_strength_is_set_alone() -> None:
    area = nodes.conditioning_set_area(PROMPT, 128, 64)
    assert nodes.conditioning_set_area_strength(area, 3.0).entries[0].area == area.entries[0].area
    assert nodes.conditioning_set_area_strength(area, 3.0).entries[1].strength == 3.0


def test_a_mask_has_a_strength_of_its_own_and_may_bound_the_area() -> None:
    mask = Mask(torch.zeros(1, 32, 32))
    mask.values[:, 8:24, 16:] = 1.0
    entry = nodes.conditioning_set_mask(PROMPT, mask, 2.0, set_cond_area="default").entries[0]
    assert entry.mask is mask.values
    assert (entry.strength, entry.mask_strength, on_grid(entry, 32, 32).area) == (1.0, 2.0, None)
    bounded = nodes.conditioning_set_mask(PROMPT, mask, 2.0, set_cond_area="mask bounds").entries[0]
    assert bounded.mask_bounds
    area = on_grid(bounded, 32, 32).area
    assert area is not None
    assert (area.x, area.y) == (16, 8)
