"""Custom sampling: its parts put together give what KSampler gives, and more."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from nodegraph import Context
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.registry import ExtensionError, get_sampler, sampler_names
from nodegraph.diffusion.sampling.rules import DualCfg, PerpNeg
from nodegraph.diffusion.values import Conditioning, Latent, Noise, Origin, Sigmas
from nodegraph.nodes import custom_sampling, model_options, samplers, schedulers, sigmas
from nodegraph.nodes.conditioning import clip_text_encode
from nodegraph.nodes.sampling import ksampler

EMPTY = Latent(torch.zeros(2, 4, 4, 4))
read = partial(clip_text_encode, Context())


@pytest.fixture(scope="module")
def prompts(tiny: Loaded) -> tuple[Conditioning, Conditioning]:
    return read("a red circle", tiny.clip), read("two blue squares", tiny.clip)


def levels(tiny: Loaded, steps: int = 4, scheduler: str = "karras", denoise: float = 1.0) -> Sigmas:
    visited: Sigmas = schedulers.basic_scheduler(tiny.model, scheduler, steps, denoise)
    return visited


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_sde", "euler_ancestral", "lms"])
@pytest.mark.parametrize("denoise", [1.0, 0.5])
def test_the_parts_give_what_ksampler_gives(
    tiny: Loaded, prompts: tuple[Conditioning, Conditioning], name: str, denoise: float
) -> None:
    positive, negative = prompts
    whole = ksampler(
        Context(), model=tiny.model, seed=5, steps=4, cfg=3.0, sampler_name=name, scheduler="karras",
        positive=positive, negative=negative, latent_image=EMPTY, denoise=denoise,
    )  # fmt: skip
    visited = levels(tiny, denoise=denoise)
    guider = custom_sampling.cfg_guider(tiny.model, positive, negative, 3.0)
    noise, sampler = custom_sampling.random_noise(5), samplers.ksampler_select(name)
    parts = custom_sampling.sampler_custom_advanced(Context(), noise, guider, sampler, visited, EMPTY)
    assert torch.equal(parts.output.samples, whole.samples)
    assert parts.output.origins == whole.origins == (Origin(5, 0), Origin(5, 1))
    torch.testing.assert_close(parts.denoised_output.samples, whole.samples)
    custom = custom_sampling.sampler_custom(
        Context(), model=tiny.model, noise_seed=5, cfg=3.0, positive=positive, negative=negative,
        sampler=sampler, sigmas=visited, latent_image=EMPTY,
    )  # fmt: skip
    assert torch.equal(custom.output.samples, whole.samples)


def test_two_stages_with_split_levels_are_one(tiny: Loaded, prompts: tuple[Conditioning, Conditioning]) -> None:
    guider, sampler = custom_sampling.cfg_guider(tiny.model, *prompts, 3.0), samplers.ksampler_select("euler")
    run = partial(custom_sampling.sampler_custom_advanced, Context(), guider=guider, sampler=sampler)
    visited, noise = levels(tiny), custom_sampling.random_noise(1)
    whole = run(noise=noise, sigmas=visited, latent_image=EMPTY)
    first, second = sigmas.split_sigmas(visited, 2)
    half = run(noise=noise, sigmas=first, latent_image=EMPTY)
    assert not torch.allclose(half.denoised_output.samples, half.output.samples, atol=1e-2)
    rest = run(noise=custom_sampling.disable_noise(), sigmas=second, latent_image=half.output)
    torch.testing.assert_close(rest.output.samples, whole.output.samples, rtol=1e-3, atol=1e-4)
    assert rest.output.origins == whole.output.origins


def test_without_levels_nothing_happens_and_with_one_only_noise_is_added(
    tiny: Loaded, prompts: tuple[Conditioning, Conditioning]
) -> None:
    picture = Latent(torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)))
    guider = custom_sampling.basic_guider(tiny.model, prompts[0])
    run = partial(custom_sampling.sampler_custom_advanced, Context(), Noise(3), guider, get_sampler("euler"))
    assert run(Sigmas(()), picture).output is picture
    noised = run(Sigmas((2.0,)), picture)
    draw = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(noised.output.samples, picture.samples + draw * 2.0 / 0.18215)
    assert torch.equal(noised.denoised_output.samples, noised.output.samples)
    added = custom_sampling.add_noise(tiny.model, Noise(3), Sigmas((3.0, 1.0)), picture)
    torch.testing.assert_close(added.samples, noised.output.samples)
    assert custom_sampling.add_noise(tiny.model, Noise(3), Sigmas(()), picture) is picture


MADE = {
    "SamplerEulerAncestral": samplers.sampler_euler_ancestral(0.5),
    "SamplerEulerAncestralCFGPP": samplers.sampler_euler_ancestral_cfg_pp(0.5),
    "SamplerEulerCFGpp": samplers.sampler_euler_cfg_pp("regular"),
    "SamplerEulerCFGpp alternative": samplers.sampler_euler_cfg_pp("alternative"),
    "SamplerLMS": samplers.sampler_lms(2),
    "SamplerDPMPP_3M_SDE": samplers.sampler_dpmpp_3m_sde(0.5),
    "SamplerDPMPP_2M_SDE": samplers.sampler_dpmpp_2m_sde("heun", 0.5),
    "SamplerDPMPP_SDE": samplers.sampler_dpmpp_sde(0.5, 0.9, 0.4, "cpu"),
    "SamplerDPMPP_2S_Ancestral": samplers.sampler_dpmpp_2s_ancestral(0.5),
    "SamplerDPMAdaptative": samplers.sampler_dpm_adaptive(2, 0.2, eta=0.5),
    "SamplerER_SDE": samplers.sampler_er_sde("Reverse-time SDE", 2, 0.5),
    "SamplerLCMUpscale": samplers.sampler_lcm_upscale(1.5, 2, "bilinear"),
}


@pytest.mark.parametrize("name", MADE)
def test_samplers_with_options_run(tiny: Loaded, prompts: tuple[Conditioning, Conditioning], name: str) -> None:
    guider = custom_sampling.cfg_guider(tiny.model, *prompts, 2.0)
    done = custom_sampling.sampler_custom_advanced(Context(), Noise(1), guider, MADE[name], levels(tiny), EMPTY).output
    side = 6 if name == "SamplerLCMUpscale" else 4
    assert done.samples.shape == (2, 4, side, side)
    assert bool(done.samples.isfinite().all())


def test_the_sa_solver_takes_its_interval_from_a_model(
    tiny: Loaded, prompts: tuple[Conditioning, Conditioning]
) -> None:
    guider = custom_sampling.cfg_guider(tiny.model, *prompts, 2.0)
    run = partial(custom_sampling.sampler_custom_advanced, Context(), Noise(1), guider)
    usual = run(samplers.ksampler_select("sa_solver"), levels(tiny), EMPTY).output
    same = run(samplers.sampler_sa_solver(model=tiny.model), levels(tiny), EMPTY).output
    never = run(samplers.sampler_sa_solver(model=tiny.model, sde_start_percent=1.0), levels(tiny), EMPTY).output
    assert torch.equal(usual.samples, same.samples)
    assert not torch.allclose(usual.samples, never.samples, atol=1e-3)


@pytest.mark.parametrize("name", sampler_names())
def test_every_sampler_runs_in_ksampler(tiny: Loaded, prompts: tuple[Conditioning, Conditioning], name: str) -> None:
    positive, negative = prompts
    done = ksampler(
        Context(), model=tiny.model, seed=5, steps=3, cfg=1.0, sampler_name=name, scheduler="karras",
        positive=positive, negative=negative, latent_image=EMPTY,
    )  # fmt: skip
    assert bool(done.samples.isfinite().all())


def test_samplers_come_in_the_order_of_comfyui_s_list() -> None:
    told = json.loads((Path(__file__).parents[1] / "data" / "comfyui_object_info.json").read_bytes())
    (theirs, *_) = told["KSamplerSelect"]["input"]["required"]["sampler_name"]
    assert [name for name in sampler_names() if name in theirs] == theirs


def test_an_option_that_a_sampler_has_not_is_named(tiny: Loaded, prompts: tuple[Conditioning, Conditioning]) -> None:
    guider = custom_sampling.basic_guider(tiny.model, prompts[0])
    sampler = get_sampler("euler_ancestral").with_options(order=2)
    with pytest.raises(ValueError, match="'euler_ancestral' has no option 'order': it takes eta, s_noise"):
        custom_sampling.sampler_custom_advanced(Context(), Noise(1), guider, sampler, levels(tiny), EMPTY)
    with pytest.raises(ExtensionError, match="unknown sampler 'eulr': did you mean 'euler'"):
        samplers.ksampler_select("eulr")


def test_guiders_of_three_prompts(tiny: Loaded, prompts: tuple[Conditioning, Conditioning]) -> None:
    positive, negative = prompts
    middle = read("a green triangle", tiny.clip)

    def picture(guider: custom_sampling.Guider) -> torch.Tensor:
        run = custom_sampling.sampler_custom_advanced
        output: Latent = run(Context(), Noise(1), guider, get_sampler("euler"), levels(tiny), EMPTY).output
        return output.samples

    plain = picture(custom_sampling.cfg_guider(tiny.model, positive, negative, 3.0))
    dual = partial(custom_sampling.dual_cfg_guider, model=tiny.model, cond1=positive, negative=negative)
    same = picture(dual(cond2=positive, cfg_cond2_negative=3.0))
    torch.testing.assert_close(same, plain, rtol=1e-3, atol=1e-3)
    nested = picture(dual(cond2=negative, cfg_conds=1.0, cfg_cond2_negative=3.0, style="nested"))
    torch.testing.assert_close(nested, plain, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(picture(dual(cond2=middle)), plain, atol=0.1)
    same = picture(custom_sampling.perp_neg_guider(tiny.model, positive, negative, negative, 3.0))
    torch.testing.assert_close(same, plain, rtol=1e-3, atol=1e-3)
    (rule,) = custom_sampling.perp_neg_guider(tiny.model, positive, negative, middle).model.guidance
    assert isinstance(rule, PerpNeg)
    (rule,) = dual(cond2=middle).model.guidance
    assert isinstance(rule, DualCfg)


def test_model_options_change_the_value_and_not_the_model(
    tiny: Loaded, prompts: tuple[Conditioning, Conditioning]
) -> None:
    positive, negative = prompts
    run = partial(
        ksampler, Context(), seed=1, steps=3, cfg=4.0, positive=positive, negative=negative, latent_image=EMPTY
    )
    plain = run(model=tiny.model).samples
    changed = {
        "v": model_options.model_sampling_discrete(tiny.model, "v_prediction", zsnr=True),
        "lcm": model_options.model_sampling_discrete(tiny.model, "lcm"),
        "x0": model_options.model_sampling_discrete(tiny.model, "x0"),
        "img_to_img": model_options.model_sampling_discrete(tiny.model, "img_to_img"),
        "edm": model_options.model_sampling_continuous_edm(tiny.model, "edm"),
        "angle": model_options.model_sampling_continuous_v(tiny.model),
        "rescale": model_options.rescale_cfg(tiny.model),
        "interval": model_options.guidance_interval(tiny.model, 0.5, 1.0),
        "perp_neg": model_options.perp_neg(tiny.model, read("", tiny.clip)),
        "zero_star": model_options.cfg_zero_star(tiny.model).patched_model,
        "norm": model_options.cfg_norm(tiny.model, 0.9).patched_model,
    }
    for name, model in changed.items():
        samples = run(model=model).samples
        assert bool(samples.isfinite().all()), name
        assert not torch.allclose(samples, plain, atol=1e-3), name
    assert torch.equal(run(model=model_options.model_sampling_discrete(tiny.model, "eps")).samples, plain)
    assert torch.equal(run(model=tiny.model).samples, plain)


def test_a_grey_mask_of_differential_diffusion_changes_less(
    tiny: Loaded, prompts: tuple[Conditioning, Conditioning]
) -> None:
    picture = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 5
    mask = torch.ones(1, 8, 8)
    mask[:, :, 2:5], mask[:, :, 5:] = 0.4, 0.0
    model = model_options.differential_diffusion(tiny.model)
    done = ksampler(
        Context(), model=model, seed=1, steps=12, cfg=2.0, positive=prompts[0], negative=prompts[1],
        latent_image=Latent(picture, noise_mask=mask),
    )  # fmt: skip
    change = (done.samples - picture).abs().mean(dim=(0, 1, 2))
    black, grey, white = (float(change[part].mean()) for part in (slice(5, 8), slice(2, 5), slice(0, 2)))
    assert black < 0.2, "only the last step, from the smallest level, changes what is black"
    assert 2 * black < grey < white
