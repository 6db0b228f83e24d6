"""Sampling nodes, called as the functions that they are."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from nodegraph import Context
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Latent, Origin
from nodegraph.nodes.conditioning import clip_text_encode, conditioning_set_timestep_range
from nodegraph.nodes.sampling import ksampler, ksampler_advanced

EMPTY = Latent(torch.zeros(2, 4, 4, 4))
read = partial(clip_text_encode, Context())


@pytest.mark.parametrize("scheduler", ["normal", "karras"])
def test_two_stages_are_one(tiny: Loaded, scheduler: str) -> None:
    run = partial(
        ksampler_advanced,
        Context(),
        model=tiny.model,
        noise_seed=4,
        steps=4,
        cfg=3.0,
        scheduler=scheduler,
        positive=read("a red circle", tiny.clip),
        negative=read("", tiny.clip),
    )
    whole = run(latent_image=EMPTY)
    half = run(latent_image=EMPTY, end_at_step=2, return_with_leftover_noise="enable")
    rest = run(latent_image=half, start_at_step=2, add_noise="disable")
    assert not torch.allclose(half.samples, whole.samples, atol=1e-2)
    assert torch.allclose(rest.samples, whole.samples, atol=1e-4)
    assert rest.origins == whole.origins == (Origin(4, 0), Origin(4, 1))


def test_all_steps_of_the_advanced_sampler_are_the_plain_one(tiny: Loaded) -> None:
    prompts = {
        "positive": read("a", tiny.clip),
        "negative": read("b", tiny.clip),
    }
    plain = ksampler(Context(), model=tiny.model, seed=9, steps=2, latent_image=EMPTY, **prompts)
    advanced = ksampler_advanced(Context(), model=tiny.model, noise_seed=9, steps=2, latent_image=EMPTY, **prompts)
    assert torch.equal(plain.samples, advanced.samples)


def test_a_prompt_out_of_its_range_does_not_count(tiny: Loaded) -> None:
    run = partial(ksampler, Context(), model=tiny.model, seed=1, steps=3, cfg=5.0, latent_image=EMPTY)
    one, two = (
        read("a red circle", tiny.clip),
        read("two blue squares", tiny.clip),
    )
    whole, part = conditioning_set_timestep_range(one, 0.0, 1.0), conditioning_set_timestep_range(one, 0.0, 0.3)
    plain = run(positive=one, negative=two).samples
    assert torch.equal(run(positive=whole, negative=two).samples, plain)
    assert not torch.equal(run(positive=part, negative=two).samples, plain)
