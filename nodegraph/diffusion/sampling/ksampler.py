"""Sampling from a model as the KSampler and KSamplerAdvanced nodes do it: a seed gives the picture it gives elsewhere.

The order is: noise levels (schedule, share of denoising, range of steps), initial noise, sampler, latent.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from nodegraph.diffusion.registry import Sampler, Scheduler, get_sampler, get_scheduler
from nodegraph.diffusion.sampling.contract import Table
from nodegraph.diffusion.sampling.run import Sampling, run, without_repeats
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import (
    Conditioning,
    DiffusionSchedule,
    EdmSchedule,
    FlowSchedule,
    Guider,
    Latent,
    Model,
    Noise,
)

ALL_OF_IT = 0.9999
"""A share of denoising above this is a whole run."""
_PLAIN = Sampler("", "")
MOST_STEPS = 20_000
"""A longer schedule would only visit each level of training more often, and some take long to compute."""


def noise_levels(
    table: Table,
    sampler: Sampler,
    scheduler: Scheduler,
    steps: int,
    *,
    denoise: float = 1.0,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
) -> list[float]:
    """Return the levels that sampling visits, each lower than the one before; fewer than two: nothing to do.

    With `denoise` below 1 they are the last `steps` steps of a longer schedule; `start_step` and `last_step` then cut
    a range out, and `force_full_denoise` makes a range that ends early jump to 0.
    """
    if steps < 1:
        raise ValueError(f"steps: got {steps}, expected 1 or more")
    if denoise <= 0:
        return []
    total = steps if denoise > ALL_OF_IT else steps / denoise
    if not total <= MOST_STEPS:
        raise ValueError(f"steps {steps} at denoise {denoise}: the whole schedule has more than {MOST_STEPS} steps")
    levels = _schedule(table, sampler, scheduler, int(total))
    if denoise <= ALL_OF_IT:
        levels = levels[-(steps + 1) :]
    if last_step is not None and last_step < len(levels) - 1:
        levels = levels[: last_step + 1]
        if force_full_denoise:
            levels[-1] = 0.0
    return without_repeats(levels[start_step:])


def scheduled(
    schedule: DiffusionSchedule | FlowSchedule | EdmSchedule, scheduler: str, steps: int, denoise: float = 1.0
) -> list[float]:
    """Return the levels of a scheduler for custom sampling, where no sampler leaves one out; `denoise` as above."""
    return noise_levels(table_of(schedule), _PLAIN, get_scheduler(scheduler), steps, denoise=denoise)


def _schedule(table: Table, sampler: Sampler, scheduler: Scheduler, steps: int) -> list[float]:
    levels = [float(level) for level in scheduler.resolve()(table, steps + sampler.discard_penultimate)]
    if not all(level >= lower >= 0 for level, lower in pairwise(levels)):
        raise ValueError(
            f"scheduler {scheduler.name!r}: got the levels {levels}, expected them to descend to 0 or above"
        )
    return [*levels[:-2], *levels[-1:]] if sampler.discard_penultimate else levels


def sample(
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    latent: Latent,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler: str | Sampler,
    scheduler: str | Scheduler,
    denoise: float = 1.0,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    add_noise: bool = True,
    check: Callable[[], object] | None = None,
) -> Sampling:
    """Prepare a run of a sampler on `latent`; nothing is computed until the first step.

    `add_noise=False` starts from the latent as it is, `seed` then only feeds the sampler. `check` is called now and
    then within steps, and raises to stop. Raises ValueError for conditionings and latents of another family of models.
    """
    sampler = get_sampler(sampler) if isinstance(sampler, str) else sampler
    scheduler = get_scheduler(scheduler) if isinstance(scheduler, str) else scheduler
    levels = noise_levels(
        table_of(model.schedule),
        sampler,
        scheduler,
        steps,
        denoise=denoise,
        start_step=start_step,
        last_step=last_step,
        force_full_denoise=force_full_denoise,
    )
    guider = Guider(model, positive, negative, cfg)
    noise = Noise(seed, silent=not add_noise)
    return run(guider, latent, noise=noise, sampler=sampler, levels=levels if len(levels) > 1 else [], check=check)
