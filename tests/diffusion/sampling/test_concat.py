"""What inpainting and InstructPix2Pix models are shown beside the noisy sample."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.inpainting import LATENT, MASK, shown
from nodegraph.diffusion.loading import concat_of
from nodegraph.diffusion.sampling.concat import GREY, with_concat
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.sampling.rules import PerpNeg, with_rule
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, Latent, Model, Placed

Kind = Literal["", "inpaint", "image"]


class Watching(nn.Module):
    """A network that keeps what it is shown and predicts no noise."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        self.seen.append(x)
        return torch.zeros_like(x[:, :4])


def prompt(**fields: object) -> Conditioning:
    return Conditioning((ConditioningEntry(torch.zeros(1, 77, 8)),)).changed(**fields)


def samples(height: int = 8, width: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(seed))


def run(kind: Kind, positive: Conditioning, latent: Latent) -> list[Tensor]:
    """Sample two steps and return what the network saw."""
    network = Watching()
    model = Model(Placed(network), concat=kind)
    sample(model, positive, prompt(), latent, seed=1, steps=2, cfg=5.0, sampler="euler", scheduler="normal").result()
    return network.seen


@pytest.mark.parametrize(("channels", "kind"), [(4, ""), (9, "inpaint"), (8, "image"), (5, "")])
def test_the_kind_follows_from_the_channels(channels: int, kind: Kind) -> None:
    assert concat_of(channels, 4) == kind


def test_an_inpainting_model_sees_the_mask_and_then_the_scaled_picture() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, :24] = 1.0
    picture = samples(seed=3)
    seen = run("inpaint", shown(prompt(), picture, mask), Latent(samples()))
    assert [tuple(x.shape) for x in seen] == [(2, 9, 8, 8)] * 2
    for x in seen:
        assert x[0, 4, :, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
        assert torch.allclose(x[0, 5:], picture[0] * 0.18215, atol=1e-6)


def test_without_a_picture_it_sees_the_latent_and_its_mask_or_grey() -> None:
    latent = Latent(samples(), noise_mask=torch.ones(1, 8, 8))
    seen = run("inpaint", prompt(), latent)[0]
    assert seen[0, 4].unique().tolist() == [1.0]
    assert torch.allclose(seen[0, 5:], samples()[0] * 0.18215, atol=1e-6)
    blank = run("inpaint", prompt(), Latent(samples()))[0]
    assert blank[:, 4].unique().tolist() == [1.0]
    assert blank[0, 5:, 3, 3].tolist() == pytest.approx(GREY)


def test_the_mask_is_rounded_and_goes_round_in_a_batch() -> None:
    latent = Latent(samples().repeat(3, 1, 1, 1))
    masks = torch.stack([torch.full((8, 8), 0.4), torch.full((8, 8), 0.6)])
    extended = with_concat(shown(prompt(), samples(), masks), Model(Placed(Watching()), concat="inpaint"), latent,
                           latent.samples)  # fmt: skip
    assert extended.entries[0].extras["concat"][:, 0].mean((1, 2)).tolist() == [0, 1, 0]


def test_instruct_pix2pix_sees_the_picture_unscaled_at_the_size_of_the_latent() -> None:
    picture = samples(16, 16, seed=3)
    seen = run("image", shown(prompt(), picture), Latent(torch.zeros(1, 4, 8, 8)))
    expected = torch.nn.functional.interpolate(picture, size=(8, 8), mode="bilinear")
    assert [tuple(x.shape) for x in seen] == [(2, 8, 8, 8)] * 2
    assert torch.allclose(seen[0][0, 4:], expected[0], atol=1e-6)
    assert not seen[0][1, 4:].any(), "the negative prompt was given none"


def test_other_models_pass_over_both() -> None:
    seen = run("", shown(prompt(), samples(), torch.ones(1, 8, 8)), Latent(samples()))
    assert [tuple(x.shape) for x in seen] == [(2, 4, 8, 8)] * 2


def test_prompts_of_rules_are_shown_the_same() -> None:
    network = Watching()
    model = with_rule(Model(Placed(network), concat="inpaint"), PerpNeg(prompt()))
    latent = Latent(samples(), noise_mask=torch.ones(1, 8, 8))
    run = sample(model, prompt(), prompt(), latent, seed=1, steps=1, cfg=5.0, sampler="euler", scheduler="normal")
    run.result()
    assert [tuple(x.shape) for x in network.seen] == [(3, 9, 8, 8)]


def test_a_prompt_for_an_area_sees_that_part_of_the_picture() -> None:
    area = Area(2, 4, 4, 4)
    positive = shown(prompt(area=area), samples(seed=3))
    seen = [x for x in run("image", positive, Latent(torch.zeros(1, 4, 8, 8))) if x.shape[-1] == 4]
    assert seen
    assert torch.allclose(seen[0][0, 4:], samples(seed=3)[0, :, 4:8, 2:6], atol=1e-6)


def test_showing_a_picture_leaves_other_extras_alone() -> None:
    given = shown(prompt(extras={"y": torch.ones(1, 3)}), samples(), torch.ones(1, 8, 8)).entries[0].extras
    assert set(given) == {"y", LATENT, MASK}
    assert given[MASK].shape == (1, 1, 8, 8)
