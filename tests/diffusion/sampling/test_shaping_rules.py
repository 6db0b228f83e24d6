"""Rules that shape the difference of the sides, by their formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import GuidanceRule, SidesRule
from nodegraph.diffusion.sampling.guidance import Guided
from nodegraph.diffusion.sampling.rules import Norm, Rescale
from nodegraph.diffusion.sampling.shaping_rules import (
    AdaptiveProjected,
    FrameGuidance,
    Leaning,
    Renormalised,
    ScaledFrequencies,
    ScaledNoise,
    TangentialDamping,
)
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, DiffusionSchedule

X, NEGATIVE, POSITIVE, OTHER = torch.randn(4, 3, 4, 6, 7, generator=torch.Generator().manual_seed(1)).unbind()
CFG, SIGMA = 3.5, 2.0
Rules = Sequence[GuidanceRule | SidesRule]


def prompt(number: int) -> Conditioning:
    return Conditioning((ConditioningEntry(torch.full((1, 3, 4), float(number))),))


class Album:
    """A denoiser that shows a picture for each side; the positive one from a list, one a call."""

    def __init__(self, positives: Sequence[Tensor] = (POSITIVE,)) -> None:
        self.positives = list(positives)

    def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Tensor) -> Tensor:
        shown = inputs["context"][:, 0, 0].int().tolist()
        positive = self.positives.pop(0) if len(self.positives) > 1 else self.positives[0]
        return torch.cat([(NEGATIVE, positive)[number][i % 3][None] for i, number in enumerate(shown)])


def guided(rules: Rules, cfg: float = CFG, album: Album | None = None) -> Guided:
    table = table_of(DiffusionSchedule())
    return Guided(album or Album(), prompt(1), prompt(0), cfg, table=table, like=X, rules=rules)


def clean(*rules: GuidanceRule | SidesRule, cfg: float = CFG, sigma: float = SIGMA) -> Tensor:
    return guided(rules, cfg)(X, sigma)


PLAIN = NEGATIVE + CFG * (POSITIVE - NEGATIVE)
ALL: list[GuidanceRule | SidesRule] = [
    AdaptiveProjected(0.3, 2.0),
    TangentialDamping(),
    ScaledFrequencies(0.5, 2.0, 1),
    Leaning(),
    Renormalised(),
    FrameGuidance(),
]


def adaptive(guidance: Tensor, positive: Tensor, along: float, longest: float) -> Tensor:
    """Return APG's change of the guidance (Sadat et al. 2024, algorithm 1), sample by sample."""
    parts = []
    for one, towards in zip(guidance, positive, strict=True):
        if longest:
            one = one * min(1.0, longest / float(one.norm()))
        unit = towards / towards.norm()
        parallel = (one * unit).sum() * unit
        parts.append(one - parallel + along * parallel)
    return torch.stack(parts)


@pytest.mark.parametrize(("along", "longest"), [(0.0, 5.0), (0.4, 0.0), (1.0, 2.0), (-1.0, 1000.0)])
def test_adaptive_projection_by_its_formula(along: float, longest: float) -> None:
    wanted = POSITIVE + CFG * adaptive(POSITIVE - NEGATIVE, POSITIVE, along, longest)
    torch.testing.assert_close(clean(AdaptiveProjected(along, longest)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.5, -0.75])
def test_momentum_remembers_levels_until_they_rise(momentum: float) -> None:
    shown = [POSITIVE, OTHER, X, POSITIVE]
    rule = AdaptiveProjected(0.2, 3.0, momentum)
    denoise = guided([rule], album=Album(shown))
    average = torch.zeros_like(X)
    for positive, sigma in zip(shown, (5.0, 2.0, 1.0, 9.0), strict=True):
        if sigma == 9.0:
            average = torch.zeros_like(X)
        average = positive - NEGATIVE + momentum * average
        wanted = positive + CFG * adaptive(average, positive, 0.2, 3.0)
        torch.testing.assert_close(denoise(X, sigma), wanted, rtol=1e-4, atol=1e-4)
    first = guided([rule], album=Album(shown))(X, 5.0)
    torch.testing.assert_close(first, POSITIVE + CFG * adaptive(POSITIVE - NEGATIVE, POSITIVE, 0.2, 3.0))


def test_tangential_damping_by_a_decomposition() -> None:
    damped = []
    for x, positive, negative in zip(X, POSITIVE, NEGATIVE, strict=True):
        both = np.stack([(x - positive).flatten().numpy(), (x - negative).flatten().numpy()]).astype(np.float64)
        first = np.linalg.svd(both, full_matrices=False).Vh[0]
        damped.append(torch.from_numpy((both[1] @ first) * first).float().view_as(x))
    negative = X - torch.stack(damped)
    torch.testing.assert_close(clean(TangentialDamping()), negative + CFG * (POSITIVE - negative), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cutoff", [1, 2, 20])
def test_frequencies_of_the_difference_are_scaled(cutoff: int) -> None:
    spectrum = np.fft.fftshift(np.fft.fft2((POSITIVE - NEGATIVE).double().numpy()), axes=(-2, -1))
    scales = np.full((6, 7), 1.5)
    for row in range(6):
        for column in range(7):
            if -min(cutoff, 3) <= row - 3 < min(cutoff, 3) and -min(cutoff, 3) <= column - 3 < min(cutoff, 3):
                scales[row, column] = 0.5
    difference = np.fft.ifft2(np.fft.ifftshift(spectrum * scales, axes=(-2, -1))).real
    wanted = NEGATIVE + CFG * torch.from_numpy(difference).float()
    torch.testing.assert_close(clean(ScaledFrequencies(0.5, 1.5, cutoff)), wanted, rtol=1e-4, atol=1e-4)


def test_leaning_by_its_formula() -> None:
    wanted = []
    for positive, negative, plain in zip(POSITIVE, NEGATIVE, PLAIN, strict=True):
        leap, away = positive * CFG, negative * CFG
        mean = (leap + plain) / 2
        one, other = away.sign() * away.abs() ** 0.5, mean.sign() * mean.abs() ** 0.5
        cosines = (one * other).sum(0) / (one.norm(dim=0) * other.norm(dim=0))
        share = 2 * (float(cosines.mean()) + 1)
        wanted.append((share * plain + (4 - share) * leap) / 4)
    torch.testing.assert_close(clean(Leaning()), torch.stack(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0, 100.0])
def test_renormalised_samples_are_no_longer_than_told(length: float) -> None:
    wanted = PLAIN.clone()
    for one, positive in zip(wanted, POSITIVE, strict=True):
        if length and one.norm() > positive.norm() * length:
            one *= positive.norm() * length / one.norm()
    torch.testing.assert_close(clean(Renormalised(length=length)), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(clean(Renormalised(highest=SIGMA, length=length)), POSITIVE)


def test_scaled_noise_is_that_share_of_it() -> None:
    torch.testing.assert_close(X - clean(ScaledNoise(1.25)), (X - PLAIN) / 1.25)
    torch.testing.assert_close(clean(ScaledNoise(1.25), cfg=1.0), X - (X - POSITIVE) / 1.25)
    assert torch.equal(clean(ScaledNoise(1.0)), clean())


@pytest.mark.parametrize(("course", "scales"), [("linear", (1.5, 2.5, 3.5)), ("triangle", (1.5, 3.5, 1.5))])
def test_frames_are_guided_more_and_more(course: str, scales: tuple[float, ...]) -> None:
    wanted = [NEGATIVE[i] + scale * (POSITIVE[i] - NEGATIVE[i]) for i, scale in enumerate(scales)]
    rule = FrameGuidance(1.5, course)  # type: ignore[arg-type]
    torch.testing.assert_close(clean(rule), torch.stack(wanted))


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: type(rule).__name__)
def test_without_a_negative_side_nothing_changes(rule: GuidanceRule | SidesRule) -> None:
    assert torch.equal(clean(rule, cfg=1.0), POSITIVE)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: type(rule).__name__)
def test_samples_of_a_batch_do_not_touch_each_other(rule: GuidanceRule | SidesRule) -> None:
    class One(Album):
        def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Tensor) -> Tensor:
            return torch.cat([NEGATIVE[:1] if number == 0 else POSITIVE[:1] for number in inputs["context"][:, 0, 0]])

    if isinstance(rule, FrameGuidance):
        pytest.skip("is about the place in the batch")
    table = table_of(DiffusionSchedule())
    alone = Guided(One(), prompt(1), prompt(0), CFG, table=table, like=X[:1], rules=[rule])(X[:1], SIGMA)
    torch.testing.assert_close(clean(rule)[:1], alone, rtol=1e-4, atol=1e-4)


def test_sides_are_shaped_before_guidance_whatever_the_order() -> None:
    rules: Rules = (Rescale(0.7), Norm(0.8), TangentialDamping())
    shaped = guided([TangentialDamping()]).both(X, SIGMA)
    torch.testing.assert_close(clean(*rules), clean(TangentialDamping(), Rescale(0.7), Norm(0.8)))
    torch.testing.assert_close(shaped[0], shaped[1] + CFG * (POSITIVE - shaped[1]))


def test_no_guidance_at_all_is_the_negative_side() -> None:
    assert math.isclose(float((clean(AdaptiveProjected(), cfg=0.0) - NEGATIVE).abs().max()), 0, abs_tol=1e-6)
