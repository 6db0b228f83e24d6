"""Sampling put together from its parts: noise, guider, sampler and noise levels."""

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Context, Step, Widget, node
from nodegraph.diffusion.registry import Sampler
from nodegraph.diffusion.values import Conditioning, Guider, Latent, Model, Noise, Sigmas

from .sampling import finished

if TYPE_CHECKING:
    from nodegraph.diffusion.sampling.run import Sampling

Seed = Annotated[int, Field(ge=0, le=2**64 - 1), Widget("seed")]
Guidance = Annotated[float, Field(ge=0, le=100), Step(0.1)]


class Sampled(NamedTuple):
    """Where a sampling ended, and the clean picture that its last step led to."""

    output: Latent
    denoised_output: Latent


@node("SamplerCustom", category="sampling/custom_sampling")
def sampler_custom(
    context: Context,
    *,
    model: Model,
    add_noise: bool = True,
    noise_seed: Seed = 0,
    cfg: Guidance = 8.0,
    positive: Conditioning,
    negative: Conditioning,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
) -> Sampled:
    """Sample over given noise levels, with a sampler and its options.

    `output` is where the levels end; `denoised_output` is the clean picture that the last step led to, which is another
    where the levels end above 0.
    """
    guider = Guider(model, positive, negative, cfg)
    return _sampled(context, guider, Noise(noise_seed, silent=not add_noise), sampler, sigmas, latent_image)


@node("SamplerCustomAdvanced", category="sampling/custom_sampling")
def sampler_custom_advanced(
    context: Context, noise: Noise, guider: Guider, sampler: Sampler, sigmas: Sigmas, latent_image: Latent
) -> Sampled:
    """Sample over given noise levels, with a sampler, a source of noise and a way of guidance.

    `output` is where the levels end; `denoised_output` is the clean picture that the last step led to, which is another
    where the levels end above 0.
    """
    return _sampled(context, guider, noise, sampler, sigmas, latent_image)


@node("RandomNoise", category="sampling/custom_sampling/noise")
def random_noise(noise_seed: Seed = 0) -> Noise:
    """Draw the noise that sampling starts from: the same seed gives the same noise."""
    return Noise(noise_seed)


@node("DisableNoise", category="sampling/custom_sampling/noise")
def disable_noise() -> Noise:
    """Start from the latent as it is, such as one that has noise left from another sampler."""
    return Noise(silent=True)


@node("AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(model: Model, noise: Noise, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Add to a latent the noise that lies between the first and the last of some noise levels."""
    from nodegraph.diffusion.sampling.run import with_noise

    return with_noise(model, latent_image, noise, sigmas.levels)


@node("BasicGuider", category="sampling/custom_sampling/guiders")
def basic_guider(model: Model, conditioning: Conditioning) -> Guider:
    """Follow one prompt, without guidance away from another."""
    return Guider(model, conditioning)


@node("CFGGuider", category="sampling/custom_sampling/guiders")
def cfg_guider(model: Model, positive: Conditioning, negative: Conditioning, cfg: Guidance = 8.0) -> Guider:
    """Follow one prompt and avoid another; `cfg` says how strongly."""
    return Guider(model, positive, negative, cfg)


@node("DualCFGGuider", category="sampling/custom_sampling/guiders")
def dual_cfg_guider(
    *,
    model: Model,
    cond1: Conditioning,
    cond2: Conditioning,
    negative: Conditioning,
    cfg_conds: Guidance = 8.0,
    cfg_cond2_negative: Guidance = 8.0,
    style: Literal["regular", "nested"] = "regular",
) -> Guider:
    """Go from the negative prompt to `cond2` and from there to `cond1`, each step in a strength of its own.

    "nested" applies the strength of the first step to the second one too.
    """
    from nodegraph.diffusion.sampling.rules import DualCfg, with_rule

    guided = with_rule(model, DualCfg(cond2, cfg_cond2_negative, nested=style == "nested"))
    return Guider(guided, cond1, negative, cfg_conds)


@node("PerpNegGuider", category="_for_testing")
def perp_neg_guider(
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    empty_conditioning: Conditioning,
    cfg: Guidance = 8.0,
    neg_scale: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 1.0,
) -> Guider:
    """Avoid of the negative prompt only what does not go against the positive one.

    `empty_conditioning` is an empty prompt; `neg_scale` says how strongly the rest is avoided.
    """
    from nodegraph.diffusion.sampling.rules import PerpNeg, with_rule

    return Guider(with_rule(model, PerpNeg(empty_conditioning, neg_scale)), positive, negative, cfg)


def _sampled(
    context: Context, guider: Guider, noise: Noise, sampler: Sampler, sigmas: Sigmas, latent: Latent
) -> Sampled:
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.sampling.run import run

    sampling: Sampling = run(guider, latent, noise=noise, sampler=sampler, levels=sigmas.levels, check=Watch(context))
    return Sampled(finished(context, sampling), sampling.clean())
