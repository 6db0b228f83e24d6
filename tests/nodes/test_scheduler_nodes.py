"""Nodes that give noise levels pass on what they are told: their figures are those of Stable Diffusion's schedules."""

from __future__ import annotations

import math

import pytest

from nodegraph.diffusion.loading import Loaded
from nodegraph.nodes import schedulers as nodes
from nodegraph.nodes import sigmas


def near(text: str) -> object:
    return pytest.approx([float(word) for word in text.split()], abs=1e-4)


def test_levels_by_rule() -> None:
    assert nodes.karras_scheduler(5).levels == near("14.6146 4.7965 1.2741 .2479 .0292 0")
    assert nodes.karras_scheduler(3, 9.0, 1.0, rho=1.0).levels == near("9 5 1 0")
    assert nodes.exponential_scheduler(5).levels == near("14.6146 3.089 .6529 .138 .0292 0")
    assert nodes.exponential_scheduler(3, 9.0, 1.0).levels == near("9 3 1 0")
    assert nodes.polyexponential_scheduler(3, 16.0, 1.0, rho=2.0).levels == near("16 2 1 0")


def test_levels_around_a_middle_and_of_a_process() -> None:
    levels = nodes.laplace_scheduler(5, 14.6, 0.03, mu=0.5, beta=1.0).levels
    expected = [14.6, math.exp(0.5 + math.log(2)), math.exp(0.5), math.exp(0.5 - math.log(2)), 0.03]
    assert levels == pytest.approx(expected, rel=1e-3)
    times = (1.0, 0.505, 0.01)
    expected = [*(math.sqrt(math.expm1(15.0 * t**2 / 2 + 0.2 * t)) for t in times), 0.0]
    assert nodes.vp_scheduler(3, beta_d=15.0, beta_min=0.2, eps_s=0.01).levels == pytest.approx(expected, rel=1e-3)


def test_levels_of_a_model(tiny: Loaded) -> None:
    five = near("14.6146 7.3718 2.6152 1.0273 .3955 0")
    assert nodes.beta_sampling_scheduler(tiny.model, 5).levels == five
    assert nodes.beta_sampling_scheduler(tiny.model, 5, 0.3, 0.9).levels != five
    assert nodes.basic_scheduler(tiny.model, "simple", 5).levels == near("14.6146 5.0878 2.2765 1.1606 .5693 0")
    assert len(nodes.basic_scheduler(tiny.model, "simple", 5, denoise=0.5).levels) == 6
    assert nodes.sd_turbo_scheduler(tiny.model, 1).levels == near("14.6146 0")
    assert len(nodes.sd_turbo_scheduler(tiny.model, 8, denoise=0.5).levels) == 6


def test_levels_from_tables() -> None:
    assert nodes.gits_scheduler(steps=4).levels == near("14.6146 2.3633 .9219 .3662 0")
    assert nodes.gits_scheduler(steps=10, denoise=0.2).levels == near(".1989 .0982 0")
    with pytest.raises(ValueError, match="coeff: got 1"):
        nodes.gits_scheduler(1.0)
    assert nodes.align_your_steps_scheduler("SDXL", 10).levels[:2] == near("14.6146 6.3184")
    assert len(nodes.align_your_steps_scheduler("SD1", 10, 0.3).levels) == 4


def test_the_level_at_a_share_of_the_sampling(tiny: Loaded) -> None:
    assert sigmas.sampling_percent_to_sigma(tiny.model, 0.5).sigma_value == pytest.approx(1.6156, abs=2e-3)
    assert sigmas.sampling_percent_to_sigma(tiny.model, 0.0).sigma_value > 1e6
    assert sigmas.sampling_percent_to_sigma(tiny.model, 0.0, True).sigma_value == pytest.approx(14.6146, abs=1e-4)
    assert sigmas.sampling_percent_to_sigma(tiny.model, 1.0).sigma_value == 0.0
