"""Noise levels cut, turned, changed and refined."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from nodegraph import Step, node
from nodegraph.diffusion.values import Model, Sigmas

Level = Annotated[float, Field(ge=0, le=20000), Step(0.01)]
CATEGORY = "sampling/custom_sampling/sigmas"


class Split(NamedTuple):
    """Noise levels in two parts."""

    high_sigmas: Sigmas
    low_sigmas: Sigmas


@node("SplitSigmas", category=CATEGORY)
def split_sigmas(sigmas: Sigmas, step: Annotated[int, Field(ge=0, le=10000)] = 0) -> Split:
    """Cut noise levels after so many steps, for two samplers; both have the level in between."""
    return Split(Sigmas(sigmas.levels[: step + 1]), Sigmas(sigmas.levels[step:]))


@node("SplitSigmasDenoise", category=CATEGORY)
def split_sigmas_denoise(sigmas: Sigmas, denoise: Annotated[float, Field(ge=0, le=1), Step(0.01)] = 1.0) -> Split:
    """Cut noise levels before the last share of the steps; both parts have the level in between."""
    from nodegraph.diffusion.sampling.sigmas import split_by_denoise

    high, low = split_by_denoise(sigmas.levels, denoise)
    return Split(Sigmas(tuple(high)), Sigmas(tuple(low)))


@node("FlipSigmas", category=CATEGORY)
def flip_sigmas(sigmas: Sigmas) -> Sigmas:
    """Turn noise levels round, so that a sampler finds the noise that leads to a picture ("unsampling")."""
    from nodegraph.diffusion.sampling.sigmas import flipped

    return Sigmas(tuple(flipped(sigmas.levels)))


@node("SetFirstSigma", category=CATEGORY)
def set_first_sigma(sigmas: Sigmas, sigma: Annotated[float, Field(ge=0, le=20000), Step(0.001)] = 136.0) -> Sigmas:
    """Let the noise levels start at another."""
    return Sigmas((sigma, *sigmas.levels[1:]))


@node("ExtendIntermediateSigmas", category=CATEGORY)
def extend_intermediate_sigmas(
    sigmas: Sigmas,
    steps: Annotated[int, Field(ge=1, le=100)] = 2,
    start_at_sigma: Annotated[float, Field(ge=-1, le=20000), Step(0.01)] = -1.0,
    end_at_sigma: Level = 12.0,
    spacing: Literal["linear", "cosine", "sine"] = "linear",
) -> Sigmas:
    """Divide each step that begins between two noise levels into several; a start of -1 is the highest level."""
    from nodegraph.diffusion.sampling.sigmas import extended

    return Sigmas(tuple(extended(sigmas.levels, steps, start_at_sigma, end_at_sigma, spacing)))


class AtPercent(NamedTuple):
    """A noise level."""

    sigma_value: float


@node("SamplingPercentToSigma", category=CATEGORY)
def sampling_percent_to_sigma(
    model: Model,
    sampling_percent: Annotated[float, Field(ge=0, le=1), Step(0.0001)] = 0.0,
    return_actual_sigma: bool = False,
) -> AtPercent:
    """Tell the noise level that a model has at a share of sampling done, 0 at its start and 1 at its end.

    The start lies above all levels and the end at 0; with `return_actual_sigma` they are the model's own.
    """
    from nodegraph.diffusion.sampling.sigmas import level_at
    from nodegraph.diffusion.sampling.tables import table_of

    return AtPercent(level_at(table_of(model.schedule), sampling_percent, return_actual_sigma))
