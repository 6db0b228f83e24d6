"""Schedulers against the levels that other programs visit."""

import math
from itertools import pairwise

import pytest

from nodegraph.diffusion.registry import get_scheduler, scheduler_names
from nodegraph.diffusion.sampling.quantile import beta_cdf, beta_quantile
from nodegraph.diffusion.sampling.schedules import (
    karras_levels,
    laplace_levels,
    polyexponential_levels,
    turbo_levels,
    vp_levels,
)
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.sampling.tabulated import ModelType, align_your_steps, gits
from nodegraph.diffusion.values import DiffusionSchedule, FlowSchedule

SD = table_of(DiffusionSchedule())
FIVE_STEPS = {
    "normal": "14.6146 4.0861 1.6156 .6951 .0292 0",
    "sgm_uniform": "14.6146 5.0924 2.2797 1.1629 .5712 0",
    "simple": "14.6146 5.0878 2.2765 1.1606 .5693 0",
    "ddim_uniform": "5.1344 2.2929 1.1682 .5741 .0413 0",
    "karras": "14.6146 4.7965 1.2741 .2479 .0292 0",
    "exponential": "14.6146 3.089 .6529 .138 .0292 0",
    "beta": "14.6146 7.3718 2.6152 1.0273 .3955 0",
    "linear_quadratic": "14.6146 14.432 14.2493 12.5442 7.7945 0",
    "kl_optimal": "14.6146 2.1427 .9616 .4198 .0292 0",
}


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def test_every_scheduler_has_its_figures_here() -> None:
    assert set(FIVE_STEPS) == set(scheduler_names())


@pytest.mark.parametrize("name", FIVE_STEPS)
def test_five_steps_of_stable_diffusion(name: str) -> None:
    levels = get_scheduler(name).resolve()(SD, 5)
    assert list(levels) == pytest.approx(numbers(FIVE_STEPS[name]), abs=5.1e-5)


@pytest.mark.parametrize("name", FIVE_STEPS)
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 333, 1000])
def test_levels_descend_to_zero_whatever_the_number_of_steps(name: str, steps: int) -> None:
    levels = get_scheduler(name).resolve()(SD, steps)
    assert all(higher > lower for higher, lower in pairwise(levels))
    assert levels[-1] == 0.0
    assert 0 < levels[-2] <= levels[0] <= SD.sigma_max * (1 + 1e-6)
    if name not in ("ddim_uniform", "beta"):  # these fall on whole training steps and may be more or fewer
        assert len(levels) == steps + 1


@pytest.mark.parametrize(
    ("name", "schedule", "expected"),
    [
        ("normal", FlowSchedule(shift=3.0), "1 .9004 .7511 .503 .0089 0"),
        ("simple", FlowSchedule(shift=3.0), "1 .9231 .8182 .6667 .4286 0"),
        ("simple", FlowSchedule(shift=2.718281828459045**1.15, steps=10000), "1 .9045 .7595 .5128 0"),
        ("simple", FlowSchedule(), "1 .75 .5 .25 0"),
    ],
)
def test_levels_of_flow_models(name: str, schedule: FlowSchedule, expected: str) -> None:
    wanted = numbers(expected)
    assert list(get_scheduler(name).resolve()(table_of(schedule), len(wanted) - 1)) == pytest.approx(wanted, abs=5.1e-5)


def test_normal_appends_no_second_zero_where_the_table_reaches_it() -> None:
    levels = get_scheduler("normal").resolve()(table_of(FlowSchedule(shift=0.01)), 4)
    assert len(levels) == 5
    assert 0 < levels[-1] < 1e-5 < levels[-2]


def test_beta_visits_the_quantiles_of_its_distribution() -> None:
    places = [int(SD.timestep(level)) for level in get_scheduler("beta").resolve()(SD, 5)[:-1]]
    assert places == [999, 876, 637, 362, 123]


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.2, 3.0), (25.0, 0.3), (8.0, 30.0)])
def test_beta_quantiles_invert_the_distribution_function(a: float, b: float) -> None:
    for p in (0.001, 0.05, 0.3, 0.5, 0.77, 0.99):
        assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, rel=1e-9)
    assert (beta_quantile(0.0, a, b), beta_quantile(1.0, a, b)) == (0.0, 1.0)
    assert (beta_cdf(-1.0, a, b), beta_cdf(2.0, a, b)) == (0.0, 1.0)


def test_beta_quantiles_agree_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for a, b in [(0.6, 0.6), (1.0, 1.0), (0.2, 3.0), (25.0, 0.3), (8.0, 30.0)]:
        for p in (0.01, 0.2, 0.5, 0.85, 0.999):
            assert beta_quantile(p, a, b) == pytest.approx(float(stats.beta.ppf(p, a, b)), rel=1e-11)


@pytest.mark.parametrize(("p", "a"), [(1.5, 0.6), (-0.1, 0.6), (0.5, 0.0), (float("nan"), 0.6)])
def test_beta_quantile_refuses_what_is_no_probability(p: float, a: float) -> None:
    with pytest.raises(ValueError, match="expected 0 <= p <= 1"):
        beta_quantile(p, a, 0.6)


@pytest.mark.parametrize(
    ("rho", "wanted"), [(7.0, FIVE_STEPS["karras"]), (1.0, "14.6146 10.9683 7.3219 3.6755 .0292 0")]
)
def test_karras_levels_follow_a_power(rho: float, wanted: str) -> None:
    assert karras_levels(5, 14.614642, 0.0291675, rho) == pytest.approx(numbers(wanted), abs=1e-4)


def test_polyexponential_levels_follow_a_power_of_the_logarithm() -> None:
    assert polyexponential_levels(5, 14.614642, 0.0291675) == pytest.approx(
        numbers(FIVE_STEPS["exponential"]), abs=1e-4
    )
    levels = polyexponential_levels(3, math.e**2, 1.0, rho=2.0)
    assert levels == pytest.approx([math.e**2, math.e**0.5, 1.0, 0.0])


def test_laplace_levels_lie_around_their_middle_and_within_the_range() -> None:
    levels = laplace_levels(5, 14.614642, 0.0291675, mu=0.5, beta=1.0)
    wanted = [14.614642, math.exp(0.5 + math.log(2)), math.exp(0.5), math.exp(0.5 - math.log(2)), 0.0291675]
    assert levels == pytest.approx(wanted, rel=1e-3)


def test_vp_levels_are_those_of_the_process_at_even_times() -> None:
    levels = vp_levels(3)
    at = [math.sqrt(math.expm1(19.9 * t**2 / 2 + 0.1 * t)) for t in (1.0, 0.5005, 0.001)]
    assert levels == pytest.approx([*at, 0.0], rel=1e-3)


def test_turbo_levels_are_every_hundredth_training_step() -> None:
    steps = [float(SD.sigma(t)) for t in (999.0, 899.0, 799.0)]
    assert turbo_levels(SD, 1) == [steps[0], 0.0]
    assert turbo_levels(SD, 3) == [*steps, 0.0]
    assert turbo_levels(SD, 2, denoise=0.9) == [*steps[1:], 0.0]
    assert turbo_levels(SD, 5, denoise=0.1) == [float(SD.sigma(99.0)), 0.0]


def test_levels_at_or_below_zero_are_refused() -> None:
    for levels in (karras_levels, polyexponential_levels, laplace_levels):
        with pytest.raises(ValueError, match="expected both above 0"):
            levels(5, 10.0, 0.0)
    with pytest.raises(ValueError, match="rho: got 0"):
        karras_levels(5, 10.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("model", "first"),
    [("SD1", [14.6146412293, 6.4745760956]), ("SDXL", [14.6146412293, 6.3184485287]), ("SVD", [700.0, 54.5])],
)
def test_align_your_steps_gives_its_table_for_ten_steps(model: ModelType, first: list[float]) -> None:
    levels = align_your_steps(model, 10)
    assert levels[:2] == first
    assert len(levels) == 11
    assert levels[-1] == 0.0


def test_align_your_steps_goes_between_its_levels_by_their_logarithms() -> None:
    ten, twenty = align_your_steps("SD1", 10), align_your_steps("SD1", 20)
    assert twenty[:-1:2] == pytest.approx(ten[:-1])
    assert twenty[1] == pytest.approx(math.sqrt(ten[0] * ten[1]))
    assert align_your_steps("SD1", 10, denoise=0.3) == [*ten[-4:-1], 0.0]
    assert align_your_steps("SD1", 10, denoise=0.0) == []


def test_gits_gives_its_table() -> None:
    assert gits(4) == [14.61464119, 2.36326, 0.921923, 0.36617, 0.0]
    assert gits(10)[1:3] == [5.8552, 2.84485]
    assert gits(10, denoise=0.2) == [0.198949, 0.0982453, 0.0]
    forty = gits(40)
    assert forty[:-1:2] == pytest.approx(gits(20)[:-1])
    assert all(len(gits(steps)) == steps + 1 for steps in range(2, 45))
    with pytest.raises(ValueError, match=r"coeff: got 1.3; there are levels for the coefficient 1.2 alone"):
        gits(10, coeff=1.3)
    with pytest.raises(ValueError, match="steps: got 1"):
        gits(1)
