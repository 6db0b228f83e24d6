"""Guidance: how prompts, their strengths, places and times make one clean sample, and how many calls that takes."""

import math

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.sampling.guidance import Guided
from nodegraph.diffusion.sampling.rules import Rescale
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, DiffusionSchedule

TABLE = table_of(DiffusionSchedule())
X = torch.zeros(2, 4, 32, 48)


class Painter:
    """A denoiser that paints the mean of each sample's context, and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Size, float | Tensor, dict[str, Tensor]]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Tensor) -> Tensor:
        self.calls.append((x.shape, sigma, inputs))
        return inputs["context"].mean(dim=(1, 2)).reshape(-1, 1, 1, 1).expand_as(x)


def entry(value: float, tokens: int = 77, **options: object) -> ConditioningEntry:
    return ConditioningEntry(torch.full((1, tokens, 8), value), **options)  # type: ignore[arg-type]


def prompts(*entries: ConditioningEntry) -> Conditioning:
    return Conditioning(entries)


def guided(
    positive: Conditioning, negative: Conditioning, cfg: float, sigma: float | Tensor = 1.0, rescale: float = 0.0
) -> tuple[Tensor, Painter]:
    painter = Painter()
    denoise = Guided(painter, positive, negative, cfg, table=TABLE, like=X, rules=(Rescale(rescale),))
    return denoise(X, sigma), painter


def test_guidance_goes_from_the_negative_prompt_through_the_positive_one() -> None:
    clean, painter = guided(prompts(entry(1.0)), prompts(entry(0.25)), cfg=3.0)
    assert clean.shape == X.shape
    torch.testing.assert_close(clean, torch.full_like(X, 0.25 + 0.75 * 3))
    assert [shape for shape, *_ in painter.calls] == [torch.Size([4, 4, 32, 48])]


def test_at_cfg_one_the_negative_prompt_is_not_computed() -> None:
    clean, painter = guided(prompts(entry(1.0)), prompts(entry(0.25)), cfg=1.0)
    assert bool((clean == 1.0).all())
    assert [shape for shape, *_ in painter.calls] == [X.shape]


def test_no_prompt_at_all_counts_as_zero() -> None:
    clean, _ = guided(prompts(entry(1.0)), prompts(), cfg=3.0)
    assert bool((clean == 3.0).all())


@pytest.mark.parametrize(("tokens", "calls"), [(154, 1), (308, 1), (385, 2), (100, 2)])
def test_prompts_of_other_lengths_share_a_call_if_few_repeats_suffice(tokens: int, calls: int) -> None:
    clean, painter = guided(prompts(entry(1.0)), prompts(entry(0.25, tokens)), cfg=3.0)
    assert bool((clean == 2.5).all())
    assert len(painter.calls) == calls
    if calls == 1:
        assert painter.calls[0][2]["context"].shape == (4, tokens, 8)


def test_prompts_of_other_widths_run_apart() -> None:
    wide = ConditioningEntry(torch.full((1, 77, 16), 0.25))
    _, painter = guided(prompts(entry(1.0)), prompts(wide), cfg=3.0)
    assert len(painter.calls) == 2


def test_several_prompts_are_averaged_by_their_strengths() -> None:
    clean, _ = guided(prompts(entry(1.0, strength=3.0), entry(5.0)), prompts(entry(0.0)), cfg=1.0)
    torch.testing.assert_close(clean, torch.full_like(X, 2.0))


def test_a_lone_prompt_counts_whole_whatever_its_strength() -> None:
    clean, _ = guided(prompts(entry(1.0, strength=0.1)), prompts(), cfg=1.0)
    assert bool((clean == 1.0).all())
    clean, _ = guided(prompts(entry(1.0, strength=0.0)), prompts(), cfg=1.0)
    assert bool((clean == 0.0).all())


def test_a_batch_of_embeddings_goes_round_the_batch_of_samples() -> None:
    embeddings = torch.stack([torch.full((77, 8), value) for value in (1.0, 2.0, 3.0)])
    clean, _ = guided(prompts(ConditioningEntry(embeddings)), prompts(), cfg=1.0)
    assert clean[:, 0, 0, 0].tolist() == [1.0, 2.0]


def test_a_prompt_holds_while_the_share_done_is_in_its_range() -> None:
    positive = prompts(entry(1.0, end=0.4), entry(5.0, start=0.4))
    switch = TABLE.percent_to_sigma(0.4)
    painter = Painter()
    denoise = Guided(painter, positive, prompts(), 1.0, table=TABLE, like=X)
    values = [float(denoise(X, sigma)[0, 0, 0, 0]) for sigma in (20.0, switch * 1.01, switch, switch * 0.99, 0.0)]
    assert values == [1.0, 1.0, 3.0, 5.0, 5.0]


def test_an_area_runs_on_its_crop_and_fades_at_inner_edges() -> None:
    area = Area(x=8, y=0, width=40, height=32)  # touches all edges of the picture but the left one
    clean, painter = guided(prompts(entry(0.0), entry(1.0, area=area)), prompts(), cfg=1.0)
    assert [shape for shape, *_ in painter.calls] == [X.shape, torch.Size([2, 4, 32, 40])]
    row = clean[0, 0, 5]
    assert bool((row[:8] == 0.0).all())
    ramp = torch.arange(1, 9) / 8
    torch.testing.assert_close(row[8:16], ramp / (1 + ramp))
    torch.testing.assert_close(row[16:], torch.full((32,), 0.5))
    assert bool((clean == clean[0, 0, 5]).all())


def test_an_area_in_fractions_is_the_area_in_cells() -> None:
    whole = entry(0.0)
    cells, _ = guided(prompts(whole, entry(1.0, area=Area(12, 8, 24, 16))), prompts(), cfg=1.0)
    shares, _ = guided(prompts(whole, entry(1.0, area=Area(0.25, 0.25, 0.5, 0.5, fraction=True))), prompts(), cfg=1.0)
    assert torch.equal(cells, shares)
    assert float(cells[0, 0, 16, 24]) == 0.5


def test_an_area_beyond_the_picture_is_clipped() -> None:
    clean, _ = guided(prompts(entry(1.0, area=Area(40, 24, 100, 100))), prompts(), cfg=1.0)
    assert float(clean[0, 0, -1, -1]) == pytest.approx(1.0)
    assert float(clean[0, 0, 0, 0]) == 0.0


def test_inside_an_area_guidance_weighs_crops_of_both_sides() -> None:
    area = Area(8, 8, 16, 16)
    clean, painter = guided(prompts(entry(1.0, area=area)), prompts(entry(0.25)), cfg=2.0)
    assert [shape for shape, *_ in painter.calls] == [torch.Size([4, 4, 16, 16]), X.shape]
    assert float(clean[0, 0, 16, 16]) == pytest.approx(1.75)
    assert float(clean[0, 0, 0, 0]) == pytest.approx(-0.25)  # nothing to follow there, only something to avoid


def test_areas_of_the_negative_side_part_the_positive_one_at_cfg_one_too() -> None:
    positive, negative = prompts(entry(1.0)), prompts(entry(0.25, area=Area(8, 8, 16, 16)))
    for cfg, batch in ((1.0, 2), (1.5, 4)):
        _, painter = guided(positive, negative, cfg)
        assert [shape for shape, *_ in painter.calls] == [X.shape, torch.Size([batch, 4, 16, 16])]


def test_a_mask_weighs_a_prompt_and_is_fitted_to_the_latent() -> None:
    mask = torch.zeros(1, 256, 384)
    mask[:, :, 192:] = 1.0
    positive = prompts(entry(0.0), entry(1.0, mask=mask, mask_strength=0.5, strength=2.0))
    clean, painter = guided(positive, prompts(), cfg=1.0)
    assert [shape for shape, *_ in painter.calls] == [torch.Size([4, 4, 32, 48])]
    assert bool((clean[..., :23] == 0.0).all())
    torch.testing.assert_close(clean[..., 25:], torch.full((2, 4, 32, 23), 0.5))


def test_masks_of_a_batch_belong_to_its_samples() -> None:
    mask = torch.stack([torch.zeros(32, 48), torch.ones(32, 48)])
    clean, _ = guided(prompts(entry(0.0), entry(1.0, mask=mask)), prompts(), cfg=1.0)
    assert clean[:, 0, 0, 0].tolist() == [0.0, 0.5]


def test_the_bounds_of_a_mask_are_all_that_is_run() -> None:
    mask = torch.zeros(1, 32, 48)
    mask[:, 4:14, 40:44] = 1.0
    _, painter = guided(prompts(entry(1.0, mask=mask, mask_bounds=True)), prompts(), cfg=1.0)
    assert [shape for shape, *_ in painter.calls] == [torch.Size([2, 4, 10, 8])]
    _, painter = guided(prompts(entry(1.0, mask=torch.zeros(1, 32, 48), mask_bounds=True)), prompts(), cfg=1.0)
    assert [shape for shape, *_ in painter.calls] == [torch.Size([2, 4, 8, 8])]


def test_levels_given_for_each_sample_reach_the_network_for_each_prompt() -> None:
    clean, painter = guided(prompts(entry(1.0)), prompts(entry(0.0)), 2.0, sigma=torch.tensor([1.0, 2.0]))
    sigma = painter.calls[0][1]
    assert isinstance(sigma, Tensor)
    assert sigma.tolist() == [1.0, 2.0, 1.0, 2.0]
    assert bool((clean == 2.0).all())


def test_extra_inputs_reach_the_network_by_name() -> None:
    extras = {"vector": torch.ones(1, 5)}
    _, painter = guided(prompts(entry(1.0, extras=extras)), prompts(entry(0.0, extras=extras)), cfg=2.0)
    assert painter.calls[0][2]["vector"].shape == (4, 5)
    _, painter = guided(prompts(entry(1.0, extras=extras)), prompts(entry(0.0)), cfg=2.0)
    assert len(painter.calls) == 2


def test_embeddings_come_in_the_precision_of_the_network_and_are_joined_once() -> None:
    painter = Painter()
    denoise = Guided(painter, prompts(entry(1.0)), prompts(entry(0.0)), 2.0, table=TABLE, like=X, dtype=torch.bfloat16)
    denoise(X, 2.0)
    denoise(X, 1.0)
    first, second = (inputs["context"] for _, _, inputs in painter.calls)
    assert first.dtype == torch.bfloat16
    assert first is second


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_rescaling_brings_the_contrast_back_to_the_positive_prediction(share: float) -> None:
    """Lin et al. 2023: the velocity's deviation is that of the positive prediction, at share 1 exactly."""
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    pictures = {value: torch.randn_like(x) for value in (0.0, 1.0)}
    sigma = 2.0

    def denoise(seen: Tensor, level: float | Tensor, /, **inputs: Tensor) -> Tensor:
        return torch.cat([pictures[float(context[0, 0])] for context in inputs["context"]])

    def velocity(clean: Tensor) -> Tensor:
        return (x / (sigma**2 + 1) - clean) * math.sqrt(sigma**2 + 1) / sigma

    sides = prompts(entry(1.0)), prompts(entry(0.0))
    plain = Guided(denoise, *sides, 7.0, table=TABLE, like=x)(x, sigma)
    mixed = Guided(denoise, *sides, 7.0, table=TABLE, like=x, rules=(Rescale(share),))(x, sigma)
    wanted = share * velocity(pictures[1.0]).std() + (1 - share) * velocity(plain).std()
    torch.testing.assert_close(velocity(mixed).std(), wanted)
    levels = torch.tensor([sigma])
    torch.testing.assert_close(
        Guided(denoise, *sides, 7.0, table=TABLE, like=x, rules=(Rescale(share),))(x, levels), mixed
    )
