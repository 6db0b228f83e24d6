"""Options of a model that change how sampling reads it and how prompts guide it."""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Choices, Step, node
from nodegraph.diffusion.values import Conditioning, DiffusionSchedule, EdmSchedule, Model, Prediction

Share = Annotated[float, Field(ge=0, le=1), Step(0.01)]
Percent = Annotated[float, Field(ge=0, le=1), Step(0.001)]
Level = Annotated[float, Field(ge=0, le=1000), Step(0.001)]
DISCRETE: dict[str, Prediction] = {
    "eps": "eps", "v_prediction": "v", "lcm": "lcm", "x0": "x0", "img_to_img": "img_to_img",
}  # fmt: skip
CONTINUOUS: dict[str, Prediction] = {"v_prediction": "v", "edm": "edm", "eps": "eps"}
LCM_STRIDE = 20
"""Consistency models are distilled at 50 of 1000 training steps."""


def continuous_kinds() -> list[str]:
    """Return what a model of continuous noise levels may predict."""
    return list(CONTINUOUS)


@node("ModelSamplingDiscrete", category="advanced/model")
def model_sampling_discrete(
    model: Model,
    sampling: Literal["eps", "v_prediction", "lcm", "x0", "img_to_img"] = "eps",
    zsnr: bool = False,
) -> Model:
    """Tell what a model predicts: the noise, a velocity, the picture, or that of a consistency model (`lcm`).

    `zsnr` is for models that were trained up to pure noise (zero terminal signal-to-noise ratio).
    """
    known = model.schedule if isinstance(model.schedule, DiffusionSchedule) else DiffusionSchedule()
    stride = LCM_STRIDE if sampling == "lcm" else 1
    schedule = replace(known, zero_terminal_snr=zsnr, stride=stride)
    return replace(model, prediction=DISCRETE[sampling], schedule=schedule, sigma_data=1.0)


@node("ModelSamplingContinuousEDM", category="advanced/model")
def model_sampling_continuous_edm(
    model: Model,
    sampling: Annotated[str, Choices(continuous_kinds)] = "v_prediction",
    sigma_max: Level = 120.0,
    sigma_min: Level = 0.002,
) -> Model:
    """Tell what a model predicts that was trained at all noise levels between two, instead of at given ones."""
    sigma_data = 0.5 if sampling == "edm" else 1.0
    schedule = EdmSchedule(sigma_min, sigma_max)
    return replace(model, prediction=CONTINUOUS[sampling], schedule=schedule, sigma_data=sigma_data)


@node("ModelSamplingContinuousV", category="advanced/model")
def model_sampling_continuous_v(
    model: Model, sampling: Literal["v_prediction"] = "v_prediction", sigma_max: Level = 500.0, sigma_min: Level = 0.03
) -> Model:
    """Tell of a model that it predicts a velocity, and knows noise levels as angles between picture and noise."""
    schedule = EdmSchedule(sigma_min, sigma_max, time="angle")
    return replace(model, prediction=CONTINUOUS[sampling], schedule=schedule, sigma_data=1.0)


@node("RescaleCFG", category="advanced/model")
def rescale_cfg(model: Model, multiplier: Share = 0.7) -> Model:
    """Keep a strong cfg from overexposing: the contrast is pulled towards that of the prompt alone by this share."""
    from nodegraph.diffusion.sampling.rules import Rescale, with_rule

    return with_rule(model, Rescale(multiplier))


@node("GuidanceInterval", title="Guidance Interval", category="advanced/guidance")
def guidance_interval(model: Model, start: Percent = 0.2, end: Percent = 0.8) -> Model:
    """Let cfg count only between two shares of the sampling, 0 its start and 1 its end; elsewhere it is 1.

    Guidance early on costs variety and late it hardly shows; without it a step takes half the time
    (Kynkäänniemi et al. 2024).
    """
    if start > end:
        raise ValueError(f"start {start} comes after end {end}")
    return replace(model, guidance_start=start, guidance_end=end)


@node("PerpNeg", title="Perp-Neg (DEPRECATED by PerpNegGuider)", category="_for_testing", deprecated="PerpNegGuider")
def perp_neg(
    model: Model,
    empty_conditioning: Conditioning,
    neg_scale: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 1.0,
) -> Model:
    """Avoid of the negative prompt only what does not go against the positive one.

    `empty_conditioning` is an empty prompt; `neg_scale` says how strongly the rest is avoided.
    """
    from nodegraph.diffusion.sampling.rules import PerpNeg, with_rule

    return with_rule(model, PerpNeg(empty_conditioning, neg_scale))


@node("DifferentialDiffusion", title="Differential Diffusion", category="_for_testing")
def differential_diffusion(model: Model, strength: Share = 1.0) -> Model:
    """Let a latent's mask tell how much of each place changes: where it is grey, sampling begins later.

    `strength` mixes this with the mask's usual meaning.
    """
    return replace(model, differential=strength)


class Patched(NamedTuple):
    """A model with an option more."""

    patched_model: Model


@node("CFGZeroStar", category="advanced/guidance")
def cfg_zero_star(model: Model) -> Patched:
    """Scale the negative prediction to fit the positive one before guiding, which helps flow models most."""
    from nodegraph.diffusion.sampling.rules import ZeroStar, with_rule

    return Patched(with_rule(model, ZeroStar()))


@node("CFGNorm", category="advanced/guidance")
def cfg_norm(model: Model, strength: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 1.0) -> Patched:
    """Keep guidance from making the sample larger anywhere than the prompt alone would, then scale it."""
    from nodegraph.diffusion.sampling.rules import Norm, with_rule

    return Patched(with_rule(model, Norm(strength)))
