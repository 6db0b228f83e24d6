"""Losses against the formulas of their papers, worked out by hand."""

import math

import pytest
import torch

from nodegraph.training import losses


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_schedule_ends_at_the_sigmas_of_stable_diffusion() -> None:
    share = losses.scaled_linear_alpha_bar()
    sigmas = ((1 - share) / share).sqrt()
    assert sigmas[0].item() == pytest.approx(0.0291672, abs=1e-6)
    assert sigmas[-1].item() == pytest.approx(14.6146412, abs=1e-5)


def test_noised_sample_and_velocity_give_the_clean_sample_back() -> None:
    clean, noise = torch.randn(3, 4, 2, 2, generator=seeded()), torch.randn(3, 4, 2, 2, generator=seeded(1))
    share = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    seen = losses.noised(clean, noise, share)
    velocity = losses.diffusion_target("v", clean, noise, share)
    keep, lose = share.sqrt().float().view(-1, 1, 1, 1), (1 - share).sqrt().float().view(-1, 1, 1, 1)
    torch.testing.assert_close(keep * seen - lose * velocity, clean)
    torch.testing.assert_close(lose * seen + keep * velocity, noise)


def test_noise_and_clean_targets_are_what_was_mixed() -> None:
    clean, noise, share = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.tensor([0.25])
    assert losses.diffusion_target("eps", clean, noise, share) is noise
    assert losses.diffusion_target("x0", clean, noise, share) is clean


@pytest.mark.parametrize(("prediction", "high", "low"), [("eps", 5 / 9, 1.0), ("v", 5 / 10, 0.2), ("x0", 5.0, 0.25)])
def test_min_snr_weights_at_snr_nine_and_a_quarter(prediction: losses.Prediction, high: float, low: float) -> None:
    weights = losses.snr_weight(prediction, torch.tensor([0.9, 0.2]))  # signal-to-noise ratios 9 and 1/4
    torch.testing.assert_close(weights, torch.tensor([high, low]))


def test_no_gamma_weights_all_alike() -> None:
    assert losses.snr_weight("v", torch.tensor([0.9, 0.2]), None).tolist() == [1, 1]


def test_weighted_error_averages_each_sample_then_weighs_it() -> None:
    output, target = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).view(2, 2, 1, 1), torch.zeros(2, 2, 1, 1)
    assert losses.weighted_error(output, target, torch.tensor([1.0, 0.5])).item() == pytest.approx((5 + 2) / 2)


def test_flow_target_leads_from_any_point_of_the_line_to_its_ends() -> None:
    clean, noise = torch.randn(2, 1, 2, 2, generator=seeded()), torch.randn(2, 1, 2, 2, generator=seeded(1))
    sigma = torch.tensor([0.25, 0.75])
    seen, velocity = losses.flow_noised(clean, noise, sigma), losses.flow_target(clean, noise)
    torch.testing.assert_close(seen - sigma.view(-1, 1, 1, 1) * velocity, clean)


def test_logit_normal_sigmas_have_the_mean_as_median() -> None:
    drawn = losses.logit_normal(20_000, seeded(), mean=1.0)
    assert drawn.median().item() == pytest.approx(1 / (1 + math.exp(-1)), abs=0.01)
    assert 0 < drawn.min().item() < drawn.max().item() < 1


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_timesteps_reach_both_ends_and_follow_the_power(power: float) -> None:
    drawn = losses.draw_timesteps(100_000, seeded(), power)
    assert drawn.max().item() == 999
    assert drawn.min().item() < 10
    assert (drawn >= 750).float().mean().item() == pytest.approx(1 - 0.75 ** (1 / power), abs=0.01)


def test_offset_noise_moves_whole_channels() -> None:
    like = torch.empty(64, 4, 8, 8)
    plain = losses.draw_noise(like, seeded())
    offset = losses.draw_noise(like, seeded(), losses.NoiseConfig(offset=0.5))
    moved = offset - plain
    torch.testing.assert_close(moved, moved[:, :, :1, :1].expand_as(moved), atol=1e-5, rtol=0)
    assert moved.std().item() == pytest.approx(0.5, abs=0.1)


def test_about_the_chosen_share_of_rows_is_dropped() -> None:
    assert losses.drop_rows(20_000, 0.1, seeded()).float().mean().item() == pytest.approx(0.1, abs=0.01)
