"""Control nodes that are plain functions, called as such."""

from __future__ import annotations

import pytest

from nodegraph.nodes.control import MOST_ROUNDS, range_


def test_a_range_counts_up_and_down() -> None:
    assert range_(1, 8, 3) == [1, 4, 7]
    assert range_(8, 1, -3) == [8, 5, 2]
    assert range_(8, 1) == []
    assert len(range_(0, 2**64, 2**64 // MOST_ROUNDS + 1)) == MOST_ROUNDS


@pytest.mark.parametrize(("stop", "step"), [(MOST_ROUNDS + 1, 1), (2**64 - 1, 1), (-(2**64), -1)])
def test_a_range_of_too_many_numbers_is_refused(stop: int, step: int) -> None:
    with pytest.raises(ValueError, match=rf"the range from 0 to {stop} has more than 100000 numbers"):
        range_(0, stop, step)


def test_a_step_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="step is 0"):
        range_(0, 3, 0)
