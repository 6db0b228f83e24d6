"""Noise by seed: figures of other programs, batches and their parts, the Brownian path."""

import itertools

import pytest
import torch

from nodegraph.diffusion.sampling.brownian import BrownianTree
from nodegraph.diffusion.sampling.noise import SEEDS, BrownianNoise, GaussianNoise, generator, initial_noise


def test_a_seed_gives_the_noise_it_gives_elsewhere() -> None:
    assert initial_noise((1, 4, 2, 2), 0).flatten()[:4].tolist() == pytest.approx(
        [-1.1258, -1.1524, -0.2506, -0.4339], abs=5.1e-5
    )
    large = initial_noise((1, 4, 64, 64), 42).flatten()
    assert large[[0, 1, 2, 3, -1]].tolist() == pytest.approx([1.9269, 1.4873, 0.9007, -2.1055, -0.2934], abs=5.1e-5)


def test_noise_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    initial_noise((1, 4, 8, 8), 1)
    GaussianNoise(1)(torch.zeros(2), 2.0, 1.0)
    BrownianNoise((2,), 0.1, 2.0, 1)(torch.zeros(2), 2.0, 1.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_noise_is_the_single_precision_draw_rounded() -> None:
    half = initial_noise((1, 4, 8, 8), 3, dtype=torch.float16)
    assert torch.equal(half, initial_noise((1, 4, 8, 8), 3).half())


def test_a_part_of_a_batch_has_the_noise_it_has_in_the_whole() -> None:
    whole = initial_noise((4, 4, 8, 8), 5)
    part = initial_noise((3, 4, 8, 8), 5, batch_index=(3, 0, 3))
    assert torch.equal(part, whole[[3, 0, 3]])


def test_indexed_samples_are_draws_of_their_own_where_sizes_are_odd() -> None:
    """A draw whose size is no multiple of 16 uses the generator differently from a part of a larger draw."""
    draws = generator(5)
    first, second = (torch.randn(1, 3, 5, 5, generator=draws) for _ in range(2))
    part = initial_noise((2, 3, 5, 5), 5, batch_index=(1, 0))
    assert torch.equal(part, torch.cat([second, first]))
    assert not torch.equal(initial_noise((2, 3, 5, 5), 5)[1:], second)


def test_an_index_that_does_not_fit_its_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="got 1 indices for a batch of 2"):
        initial_noise((2, 4, 8, 8), 0, batch_index=(0,))


def test_seeds_reach_to_two_to_the_64_and_no_further() -> None:
    assert not torch.equal(initial_noise((1, 1, 4, 4), SEEDS - 1), initial_noise((1, 1, 4, 4), SEEDS - 2))
    for seed in (-1, SEEDS):
        with pytest.raises(ValueError, match=r"expected 0 \.\. 18446744073709551615"):
            generator(seed)


def test_gaussian_noise_goes_on_with_its_stream_in_the_precision_of_x() -> None:
    source = GaussianNoise(7)
    x = torch.zeros(1, 4, 4, 4, dtype=torch.float64)
    first, second = source(x, 2.0, 1.0), source(x, 1.0, 0.5)
    assert first.dtype == torch.float64
    assert torch.equal(first, torch.randn(1, 4, 4, 4, generator=generator(7), dtype=torch.float64))
    assert not torch.equal(first, second)


def test_brownian_noise_is_that_of_other_programs() -> None:
    source = BrownianNoise((1, 4, 8, 8), 0.0291675, 14.614642, 0)
    noise = source(torch.zeros(1, 4, 8, 8), 14.614642, 4.7965)
    assert noise.flatten()[:3].tolist() == pytest.approx([0.2845, 1.1377, -0.0208], abs=5.1e-5)


def test_brownian_noise_has_unit_variance_and_fresh_increments() -> None:
    source = BrownianNoise((64, 64), 0.1, 10.0, 3)
    x = torch.zeros(64, 64, dtype=torch.float64)
    steps = [source(x, sigma, lower) for sigma, lower in itertools.pairwise([10.0, 6.0, 3.0, 1.0, 0.5])]
    assert all(step.dtype == torch.float64 for step in steps)
    assert [float(step.std()) for step in steps] == pytest.approx([1.0] * 4, abs=0.05)
    correlations = torch.corrcoef(torch.stack([step.flatten() for step in steps])) - torch.eye(4)
    assert float(correlations.abs().max()) < 0.06


def test_a_brownian_path_does_not_depend_on_the_order_of_questions() -> None:
    times = [3.3, 0.7, 9.99, 5.0, 0.700001, 7.25, 0.1, 10.0]
    one, other = (BrownianTree((2, 3), 0.1, 10.0, 9) for _ in range(2))
    forward = {time: one(time) for time in times}
    backward = {time: other(time) for time in reversed(times)}
    assert all(torch.equal(forward[time], backward[time]) for time in times)
    assert bool((forward[0.1] == 0).all())
    assert torch.equal(one(99.0), forward[10.0])


def test_increments_of_a_brownian_path_add_up() -> None:
    source = BrownianNoise((50,), 0.1, 10.0, 4, dtype=torch.float64)
    x = torch.zeros(50, dtype=torch.float64)
    whole = source(x, 9.0, 2.0) * 7.0**0.5
    parts = source(x, 9.0, 5.0) * 4.0**0.5 + source(x, 5.0, 2.0) * 3.0**0.5
    torch.testing.assert_close(whole, parts)


def test_a_path_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got the interval \[1.0, 1.0\]"):
        BrownianTree((2,), 1.0, 1.0, 0)
