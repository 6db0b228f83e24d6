"""Sampling: noise becomes latents."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nodegraph import Choices, Context, Step, Widget, node
from nodegraph.diffusion.registry import sampler_names, scheduler_names
from nodegraph.diffusion.values import Conditioning, Latent, LatentPreview, Model

if TYPE_CHECKING:
    from nodegraph.diffusion.sampling.run import Sampling

Seed = Annotated[int, Field(ge=0, le=2**64 - 1), Widget("seed")]
Steps = Annotated[int, Field(ge=1, le=10000)]
Guidance = Annotated[float, Field(ge=0, le=100), Step(0.1)]
SamplerName = Annotated[str, Choices(sampler_names)]
SchedulerName = Annotated[str, Choices(scheduler_names)]
StepNumber = Annotated[int, Field(ge=0, le=10000)]


@node("KSampler", category="sampling")
def ksampler(
    context: Context,
    *,
    model: Model,
    seed: Seed = 0,
    steps: Steps = 20,
    cfg: Guidance = 8.0,
    sampler_name: SamplerName = "euler",
    scheduler: SchedulerName = "normal",
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")] = 1.0,
) -> Latent:
    """Turn noise into a picture's latents, step by step, as the prompts tell.

    The same seed gives the same picture. `cfg` says how strongly the prompts are followed. With `denoise` below 1 the
    picture in `latent_image` is kept in part: 0.2 changes details, 0.8 keeps little more than the layout.
    """
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.sampling.ksampler import sample

    sampling = sample(
        model,
        positive,
        negative,
        latent_image,
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        denoise=denoise,
        check=Watch(context),
    )
    return finished(context, sampling)


@node("KSamplerAdvanced", title="KSampler (Advanced)", category="sampling")
def ksampler_advanced(
    context: Context,
    *,
    model: Model,
    add_noise: Literal["enable", "disable"] = "enable",
    noise_seed: Seed = 0,
    steps: Steps = 20,
    cfg: Guidance = 8.0,
    sampler_name: SamplerName = "euler",
    scheduler: SchedulerName = "normal",
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: StepNumber = 0,
    end_at_step: StepNumber = 10000,
    return_with_leftover_noise: Literal["disable", "enable"] = "disable",
) -> Latent:
    """Run some of the steps of a sampling, so that several samplers can share one.

    The steps from `start_at_step` to `end_at_step` are run. With `return_with_leftover_noise` a later sampler can go on
    from there, with `add_noise` disabled.
    """
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.sampling.ksampler import sample

    sampling = sample(
        model,
        positive,
        negative,
        latent_image,
        seed=noise_seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler_name,
        scheduler=scheduler,
        add_noise=add_noise == "enable",
        start_step=start_at_step,
        last_step=end_at_step,
        force_full_denoise=return_with_leftover_noise == "disable",
        check=Watch(context),
    )
    return finished(context, sampling)


def finished(context: Context, sampling: "Sampling") -> Latent:
    """Run a sampling to its end, telling of each step and showing what it leads to."""
    from nodegraph.diffusion.flaws import latent_flaw

    context.progress(0, sampling.steps)
    with closing(sampling):
        for step in sampling:
            context.progress(sampling.done, sampling.steps)
            if context.listening and sampling.done < sampling.steps:
                clean = sampling.in_latent_space(step.clean)
                context.preview(LatentPreview(clean, format=sampling.latent_format))
        latent = sampling.result()
    flaw = latent_flaw(latent.samples, context.check_cancelled)
    if flaw is not None:
        context.warn(flaw)
    return latent
