"""Noise levels for a sampler to visit, by rule or from tables."""

from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Choices, Step, node
from nodegraph.diffusion.registry import scheduler_names
from nodegraph.diffusion.values import Model, Sigmas

Steps = Annotated[int, Field(ge=1, le=10000)]
Share = Annotated[float, Field(ge=0, le=1), Step(0.01)]
Level = Annotated[float, Field(ge=0, le=5000), Step(0.01)]
Power = Annotated[float, Field(ge=0, le=100), Step(0.01)]
Shape = Annotated[float, Field(ge=0, le=50), Step(0.01)]
CATEGORY = "sampling/custom_sampling/schedulers"


@node("BasicScheduler", category=CATEGORY)
def basic_scheduler(
    model: Model, scheduler: Annotated[str, Choices(scheduler_names)], steps: Steps = 20, denoise: Share = 1.0
) -> Sigmas:
    """Space a model's noise levels as KSampler does; a share of `denoise` are the last steps of a longer run."""
    from nodegraph.diffusion.sampling.ksampler import scheduled

    return Sigmas(tuple(scheduled(model.schedule, scheduler, steps, denoise)))


@node("KarrasScheduler", category=CATEGORY)
def karras_scheduler(
    steps: Steps = 20, sigma_max: Level = 14.614642, sigma_min: Level = 0.0291675, rho: Power = 7.0
) -> Sigmas:
    """Space noise levels densely at the low end: evenly after the power 1 / `rho`."""
    from nodegraph.diffusion.sampling.schedules import karras_levels

    return Sigmas(tuple(karras_levels(steps, sigma_max, sigma_min, rho)))


@node("ExponentialScheduler", category=CATEGORY)
def exponential_scheduler(steps: Steps = 20, sigma_max: Level = 14.614642, sigma_min: Level = 0.0291675) -> Sigmas:
    """Let each noise level be the same fraction of the one before."""
    from nodegraph.diffusion.sampling.schedules import polyexponential_levels

    return Sigmas(tuple(polyexponential_levels(steps, sigma_max, sigma_min)))


@node("PolyexponentialScheduler", category=CATEGORY)
def polyexponential_scheduler(
    steps: Steps = 20, sigma_max: Level = 14.614642, sigma_min: Level = 0.0291675, rho: Power = 1.0
) -> Sigmas:
    """Space the logarithms of noise levels by the power `rho`; at 1 evenly."""
    from nodegraph.diffusion.sampling.schedules import polyexponential_levels

    return Sigmas(tuple(polyexponential_levels(steps, sigma_max, sigma_min, rho)))


@node("LaplaceScheduler", category=CATEGORY)
def laplace_scheduler(
    steps: Steps = 20,
    sigma_max: Level = 14.614642,
    sigma_min: Level = 0.0291675,
    mu: Annotated[float, Field(ge=-10, le=10), Step(0.1)] = 0.0,
    beta: Annotated[float, Field(ge=0, le=10), Step(0.1)] = 0.5,
) -> Sigmas:
    """Space noise levels densely around exp(`mu`); `beta` says how widely they spread. They do not end at 0."""
    from nodegraph.diffusion.sampling.schedules import laplace_levels

    return Sigmas(tuple(laplace_levels(steps, sigma_max, sigma_min, mu, beta)))


@node("VPScheduler", category=CATEGORY)
def vp_scheduler(
    steps: Steps = 20,
    beta_d: Level = 19.9,
    beta_min: Level = 0.1,
    eps_s: Annotated[float, Field(ge=0, le=1), Step(0.0001)] = 0.001,
) -> Sigmas:
    """Space the times of a variance-preserving process evenly, down to `eps_s`."""
    from nodegraph.diffusion.sampling.schedules import vp_levels

    return Sigmas(tuple(vp_levels(steps, beta_d, beta_min, eps_s)))


@node("BetaSamplingScheduler", category=CATEGORY)
def beta_sampling_scheduler(model: Model, steps: Steps = 20, alpha: Shape = 0.6, beta: Shape = 0.6) -> Sigmas:
    """Space a model's noise levels by a Beta distribution; below 1 `alpha` and `beta` make them dense at an end."""
    from nodegraph.diffusion.sampling.schedules import beta as beta_levels
    from nodegraph.diffusion.sampling.tables import table_of

    return Sigmas(tuple(beta_levels(table_of(model.schedule), steps, alpha, beta)))


@node("SDTurboScheduler", category=CATEGORY)
def sd_turbo_scheduler(model: Model, steps: Annotated[int, Field(ge=1, le=10)] = 1, denoise: Share = 1.0) -> Sigmas:
    """Give the noise levels that SD-Turbo was trained at: the first `steps` of ten."""
    from nodegraph.diffusion.sampling.schedules import turbo_levels
    from nodegraph.diffusion.sampling.tables import table_of

    return Sigmas(tuple(turbo_levels(table_of(model.schedule), steps, denoise)))


@node("AlignYourStepsScheduler", category=CATEGORY)
def align_your_steps_scheduler(
    model_type: Literal["SD1", "SDXL", "SVD"] = "SD1", steps: Steps = 10, denoise: Share = 1.0
) -> Sigmas:
    """Give noise levels that were optimised for a kind of model, best with about ten steps (Align Your Steps)."""
    from nodegraph.diffusion.sampling.tabulated import align_your_steps

    return Sigmas(tuple(align_your_steps(model_type, steps, denoise)))


@node("GITSScheduler", category=CATEGORY)
def gits_scheduler(
    coeff: Annotated[float, Field(ge=0.8, le=1.5), Step(0.05)] = 1.2,
    steps: Annotated[int, Field(ge=2, le=1000)] = 10,
    denoise: Share = 1.0,
) -> Sigmas:
    """Give noise levels that were found by a search over steps (GITS); there are those for the coefficient 1.2."""
    from nodegraph.diffusion.sampling.tabulated import gits

    return Sigmas(tuple(gits(steps, denoise, coeff)))
