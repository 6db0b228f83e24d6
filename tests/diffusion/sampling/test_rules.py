"""Rules of guidance, by their formulas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, permutations

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import GuidanceRule
from nodegraph.diffusion.sampling.guidance import Guided
from nodegraph.diffusion.sampling.rules import DualCfg, Norm, PerpNeg, Rescale, ZeroStar, with_rule
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, DiffusionSchedule, Model, Placed

TABLE = table_of(DiffusionSchedule())
X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(9))
PICTURES = torch.randn(4, 2, 4, 6, 6, generator=torch.Generator().manual_seed(1))


class Album:
    """A denoiser that shows the picture whose number a prompt's embedding holds."""

    def __init__(self, batch: int = 2) -> None:
        self.batch = batch
        self.calls: list[list[int]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Tensor) -> Tensor:
        shown = inputs["context"][:, 0, 0].int().tolist()
        self.calls.append(shown[:: self.batch])
        return torch.cat([PICTURES[number][i % self.batch][None] for i, number in enumerate(shown)])


def prompt(number: int, **options: object) -> Conditioning:
    return Conditioning((ConditioningEntry(torch.full((1, 3, 4), float(number)), **options),))  # type: ignore[arg-type]


def guided(
    rules: Sequence[GuidanceRule] = (), cfg: float = 3.0, start: float = 0.0, end: float = 1.0
) -> tuple[Guided, Album]:
    album = Album()
    return Guided(album, prompt(1), prompt(0), cfg, table=TABLE, like=X, rules=rules, start=start, end=end), album


def clean(*rules: GuidanceRule, cfg: float = 3.0) -> Tensor:
    return guided(rules, cfg)[0](X, 2.0)


PLAIN = PICTURES[0] + 3 * (PICTURES[1] - PICTURES[0])


def test_perp_neg_avoids_what_stands_across_the_positive_prompt() -> None:
    wanted, unwanted = PICTURES[1] - PICTURES[2], PICTURES[0] - PICTURES[2]
    along = (wanted * unwanted).sum((1, 2, 3)) / (wanted * wanted).sum((1, 2, 3))
    across = unwanted - along.reshape(-1, 1, 1, 1) * wanted
    torch.testing.assert_close(clean(PerpNeg(prompt(2), 0.7)), PICTURES[2] + 3 * (wanted - 0.7 * across))


def test_perp_neg_of_one_sample_is_the_same_in_any_batch() -> None:
    rule = PerpNeg(prompt(2))
    alone = Guided(Album(1), prompt(1), prompt(0), 3.0, table=TABLE, like=X[:1], rules=(rule,))
    assert torch.allclose(clean(rule)[:1], alone(X[:1], 2.0), atol=1e-5)


def test_perp_neg_takes_one_call_for_three_prompts_even_at_cfg_one() -> None:
    for cfg in (1.0, 3.0):
        denoise, album = guided((PerpNeg(prompt(2)),), cfg)
        denoise(X, 2.0)
        assert album.calls == [[1, 0, 2]]


@pytest.mark.parametrize("nested", [False, True])
def test_dual_guidance_goes_by_way_of_the_second_prompt(nested: bool) -> None:
    negative, positive, middle = PICTURES[:3]
    if nested:
        wanted = negative + 2 * (middle + 3 * (positive - middle) - negative)
    else:
        wanted = negative + 2 * (middle - negative) + 3 * (positive - middle)
    torch.testing.assert_close(clean(DualCfg(prompt(2), 2.0, nested)), wanted)


def test_zero_star_scales_the_negative_prediction_to_fit() -> None:
    positive, negative = X - PICTURES[1], X - PICTURES[0]
    fit = ((positive * negative).sum((1, 2, 3)) / negative.square().sum((1, 2, 3))).reshape(-1, 1, 1, 1)
    scaled = fit * PICTURES[0]
    torch.testing.assert_close(clean(ZeroStar()), scaled + 3 * (PICTURES[1] - scaled), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(clean(ZeroStar(), cfg=1.0), PICTURES[1])


def test_norm_keeps_the_sample_from_growing() -> None:
    limited = clean(Norm(1.0))
    assert bool((limited.norm(dim=1) <= PICTURES[1].norm(dim=1) * 1.0001).all())
    small = PLAIN.norm(dim=1) < PICTURES[1].norm(dim=1)
    torch.testing.assert_close(limited.movedim(1, -1)[small], PLAIN.movedim(1, -1)[small])
    torch.testing.assert_close(clean(Norm(0.5)), limited * 0.5)


def test_rules_are_applied_one_after_the_other() -> None:
    torch.testing.assert_close(clean(Norm(0.5), Norm(0.5)), clean(Norm(0.25)))


def test_a_rule_takes_the_place_of_one_of_its_kind() -> None:
    model = Model(Placed(torch.nn.Identity()))
    assert with_rule(with_rule(model, Rescale(0.5)), Rescale(0.7)).guidance == (Rescale(0.7),)
    assert with_rule(with_rule(model, Norm()), ZeroStar()).guidance == (Norm(), ZeroStar())
    assert model.guidance == ()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_replaces_guidance_comes_first_and_then_what_corrects_it(order: tuple[int, ...]) -> None:
    rules: list[GuidanceRule] = [PerpNeg(prompt(2)), Rescale(0.5), Norm()]
    model = Model(Placed(torch.nn.Identity()))
    for index in order:
        model = with_rule(model, rules[index])
    assert model.guidance == tuple(rules)


def test_guidance_holds_in_its_interval_alone() -> None:
    denoise, album = guided((Norm(0.5),), start=0.2, end=0.8)
    for percent, calls in ((0.1, [1]), (0.5, [1, 0]), (0.9, [1])):
        result = denoise(X, TABLE.percent_to_sigma(percent))
        assert album.calls.pop() == calls
        if percent != 0.5:
            torch.testing.assert_close(result, PICTURES[1])


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("sigma", [0.5, 5.0])
def test_both_computes_the_negative_side_whatever_the_cfg(cfg: float, sigma: float) -> None:
    denoise, album = guided((), cfg, start=0.5)
    result, negative = denoise.both(X, sigma)
    inside = sigma < TABLE.percent_to_sigma(0.5)
    torch.testing.assert_close(result, PLAIN if cfg == 3.0 and inside else PICTURES[1])
    torch.testing.assert_close(negative, PICTURES[0])
    assert album.calls == [[1, 0]]


def test_areas_of_further_prompts_are_matched() -> None:
    place = Area(0, 0, 3, 3)
    album = Album()

    def cropped(x: Tensor, sigma: float | Tensor, /, **inputs: Tensor) -> Tensor:
        return album(x, sigma, **inputs)[..., : x.shape[-2], : x.shape[-1]]

    rule = PerpNeg(prompt(2))
    denoise = Guided(cropped, prompt(1, area=place), prompt(0), 3.0, table=TABLE, like=X, rules=(rule,))
    denoise(X, 2.0)
    assert sorted(chain.from_iterable(album.calls)) == [0, 0, 1, 2, 2]


def test_a_rule_may_ask_the_network_again() -> None:
    class Again:
        two_sided = False
        prompts: dict[str, Conditioning] = {}  # noqa: RUF012

        def __call__(self, moment: object) -> Tensor:
            return moment.again(moment.x * 2, "negative")  # type: ignore[attr-defined,no-any-return]

    denoise, album = guided((Again(),), cfg=1.0)
    torch.testing.assert_close(denoise(X, 2.0), PICTURES[0])
    assert album.calls == [[1], [0]]
