"""Noise levels cut, turned and refined."""

from __future__ import annotations

import pytest

from nodegraph.diffusion.sampling.sigmas import Spacing, extended, flipped, level_at, split_by_denoise
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule, Sigmas

LEVELS = (14.0, 6.0, 3.0, 1.0, 0.5, 0.0)


@pytest.mark.parametrize(("denoise", "place"), [(1.0, 0), (0.4, 3), (0.5, 3), (0.1, 5), (0.0, 5)])
def test_a_share_of_the_steps_is_cut_off(denoise: float, place: int) -> None:
    assert split_by_denoise(LEVELS, denoise) == (LEVELS[: place + 1], LEVELS[place:])


def test_no_levels_are_cut_into_none() -> None:
    assert split_by_denoise((), 0.5) == ((), ())
    assert flipped(()) == extended((), 2, -1, 0, "linear") == []


def test_flipped_levels_start_just_above_zero() -> None:
    assert flipped(LEVELS) == [0.0001, 0.5, 1.0, 3.0, 6.0, 14.0]
    assert flipped((3.0, 1.0)) == [1.0, 3.0]


@pytest.mark.parametrize(("spacing", "middle"), [("linear", 10.0), ("cosine", 8.3431), ("sine", 11.6569)])
def test_steps_are_divided_within_a_range(spacing: Spacing, middle: float) -> None:
    assert extended(LEVELS, 2, -1.0, 12.0, spacing) == pytest.approx([14.0, middle, *LEVELS[1:]], abs=1e-4)


def test_only_steps_that_begin_between_the_levels_are_divided() -> None:
    assert extended(LEVELS, 3, 6.0, 2.0, "linear") == pytest.approx([14, 6, 5, 4, 3, 7 / 3, 5 / 3, 1, 0.5, 0])
    assert extended(LEVELS, 1, -1.0, 0.0, "sine") == list(LEVELS)


def test_the_ends_of_sampling_lie_beyond_all_levels_or_at_the_last_ones() -> None:
    table = table_of(DiffusionSchedule())
    assert (level_at(table, 0.0), level_at(table, 1.0)) == (999999999.9, 0.0)
    assert (level_at(table, 0.0, True), level_at(table, 1.0, True)) == (table.sigma_max, table.sigma_min)
    assert level_at(table, 0.5) == level_at(table, 0.5, True) == pytest.approx(1.6156, abs=1e-4)


@pytest.mark.parametrize("bad", [(-1.0,), (float("nan"), 0.0), (float("inf"), 1.0)])
def test_levels_that_are_none_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="Sigmas: got"):
        Sigmas(bad)
