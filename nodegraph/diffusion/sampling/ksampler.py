"""Sampling from a model as the KSampler and KSamplerAdvanced nodes do it: a seed gives the picture it gives elsewhere.

The order is: noise levels (schedule, share of denoising, range of steps), initial noise, sampler, latent.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from nodegraph.diffusion.registry import Sampler, Scheduler, get_sampler, get_scheduler
from nodegraph.diffusion.sampling.concat import with_concat
from nodegraph.diffusion.sampling.contract import Denoiser, FlowPath, NoiseSource, Path, Step, Table
from nodegraph.diffusion.sampling.denoiser import denoiser_of, path_of
from nodegraph.diffusion.sampling.guidance import Guided
from nodegraph.diffusion.sampling.inpaint import Inpainting
from nodegraph.diffusion.sampling.noise import SEEDS, BrownianNoise, GaussianNoise, generator, initial_noise
from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Conditioning, Latent, LatentFormat, Model, Origin

ALL_OF_IT = 0.9999
"""A share of denoising above this is a whole run."""
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
    levels = levels[start_step:]
    return [level for level, before in zip(levels, [None, *levels], strict=False) if level != before]


def _schedule(table: Table, sampler: Sampler, scheduler: Scheduler, steps: int) -> list[float]:
    levels = [float(level) for level in scheduler.resolve()(table, steps + sampler.discard_penultimate)]
    if not all(level >= lower >= 0 for level, lower in pairwise(levels)):
        raise ValueError(
            f"scheduler {scheduler.name!r}: got the levels {levels}, expected them to descend to 0 or above"
        )
    return [*levels[:-2], *levels[-1:]] if sampler.discard_penultimate else levels


class Sampling(Iterator[Step]):
    """A run of a sampler: iterate to go on by a step, ask for the `result` at the end.

    `steps` tells how many there will be. The steps' samples are what the network sees, on its device; `in_latent_space`
    turns one into a latent for a preview. To cancel, just stop.
    """

    def __init__(self, steps: int, latent_format: LatentFormat, run: Generator[Step, None, Latent]) -> None:
        self.steps, self.latent_format = steps, latent_format
        self._run = run
        self._result: Latent | None = None

    def __next__(self) -> Step:
        """Do the next step."""
        try:
            return next(self._run)
        except StopIteration as end:
            self._result = self._result or end.value
            raise

    def result(self) -> Latent:
        """Return the final latent, on the CPU, running what is left of the steps first."""
        for _ in self:
            pass
        if self._result is None:
            raise RuntimeError("the sampling failed before its end")
        return self._result

    def in_latent_space(self, samples: Tensor) -> Tensor:
        """Return samples of a step (B, C, h, w) in the autoencoder's own space."""
        return from_network(samples, self.latent_format)


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
) -> Sampling:
    """Prepare a run of a sampler on `latent`; nothing is computed until the first step.

    `add_noise=False` starts from the latent as it is, `seed` then only feeds the sampler. Raises ValueError for
    conditionings and latents of another family of models.
    """
    sampler = get_sampler(sampler) if isinstance(sampler, str) else sampler
    scheduler = get_scheduler(scheduler) if isinstance(scheduler, str) else scheduler
    _check_width(model, positive, "positive")
    _check_width(model, negative, "negative")
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
    task = _Task(model, positive, negative, cfg, sampler, levels, seed, add_noise)
    return Sampling(max(len(levels) - 1, 0), model.latent, _run(task, _fitted(latent, model.latent)))


@dataclass(frozen=True)
class _Task:
    model: Model
    positive: Conditioning
    negative: Conditioning
    cfg: float
    sampler: Sampler
    levels: list[float]
    seed: int
    add_noise: bool


@torch.no_grad()
def _run(task: _Task, latent: Latent) -> Generator[Step, None, Latent]:
    if len(task.levels) < 2:
        return latent
    path, device = path_of(task.model), task.model.network.device
    clean = to_network(latent.samples.float(), task.model.latent).to(device)
    noise = _noise(task, latent).to(device, torch.float32)
    x = _noised(path, table_of(task.model.schedule), clean, noise, task.levels[0])
    for step in _steps(task, _denoiser(task, path, latent, clean, noise), x, path):
        x = step.x
        yield step
    x = x / path.alpha(task.levels[-1])  # not 1 only where a flow model stops early
    samples = from_network(x, task.model.latent).cpu()
    indices = latent.batch_index or range(len(samples))
    origins = tuple(Origin(task.seed, index) for index in indices) if task.add_noise else latent.origins
    return replace(latent, samples=samples, origins=origins)


def _steps(task: _Task, denoise: Denoiser, x: Tensor, path: Path) -> Iterator[Step]:
    """Start the sampler with those of `noise` and `path` that it names."""
    function = task.sampler.resolve()
    named = inspect.signature(function).parameters
    options: dict[str, object] = {}
    if "noise" in named:
        options["noise"] = _noise_source(task, x)
    if "path" in named:
        options["path"] = path
    return function(denoise, x, task.levels, **options)


def _noise_source(task: _Task, x: Tensor) -> NoiseSource:
    if task.sampler.noise == "gaussian":
        return GaussianNoise(task.seed, x.device)
    positive = [level for level in task.levels if level > 0]
    device = "cpu" if task.sampler.noise == "brownian" else x.device
    return BrownianNoise(x.shape, min(positive), max(positive), task.seed, device)


def _denoiser(task: _Task, path: Path, latent: Latent, clean: Tensor, noise: Tensor) -> Denoiser:
    model = task.model
    network = denoiser_of(model)
    denoise: Denoiser = Guided(
        network,
        with_concat(task.positive, model, latent, clean),
        with_concat(task.negative, model, latent, clean),
        task.cfg,
        table=network.table,
        like=clean,
        dtype=network.dtype,
        rescale=model.guidance_rescale,
    )
    if latent.noise_mask is None:
        return denoise
    mask = to_batch(resized_mask(latent.noise_mask, *clean.shape[-2:]), len(clean))[:, None].to(clean)
    if task.sampler.fresh_inpaint_noise:
        noise = torch.randn(noise.shape, generator=generator((task.seed + 1) % SEEDS)).to(noise)
    return Inpainting(denoise, mask, clean, noise, path)


def _noise(task: _Task, latent: Latent) -> Tensor:
    samples = latent.samples
    if not task.add_noise:
        return torch.zeros_like(samples)
    return initial_noise(samples.shape, task.seed, latent.batch_index, samples.dtype)


def _noised(path: Path, table: Table, clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Return the sample to start from; at the model's largest level with the variance its training had there."""
    largest = math.isclose(sigma, table.sigma_max, rel_tol=1e-5) or sigma > table.sigma_max
    if largest and not isinstance(path, FlowPath):
        return clean + noise * math.sqrt(1 + sigma**2)
    return path.mix(clean, noise, sigma)


def to_network(samples: Tensor, latent_format: LatentFormat) -> Tensor:
    """Return an autoencoder's latents as the network sees them; an empty, all-zero latent stays zero."""
    return (samples - latent_format.shift) * latent_format.scale if samples.any() else samples


def from_network(samples: Tensor, latent_format: LatentFormat) -> Tensor:
    """Return what the network sees as latents of the autoencoder."""
    return samples / latent_format.scale + latent_format.shift


def _fitted(latent: Latent, latent_format: LatentFormat) -> Latent:
    """Return the latent, an empty one with the channels that the model has."""
    channels, expected = latent.samples.shape[1], latent_format.channels
    if channels == expected:
        return latent
    if latent.samples.any():
        raise ValueError(f"latent: got {channels} channels, the model works with {expected}")
    batch, _, height, width = latent.samples.shape
    return replace(latent, samples=latent.samples.new_zeros(batch, expected, height, width))


def _check_width(model: Model, conditioning: Conditioning, name: str) -> None:
    for entry in conditioning.entries:
        width = entry.embedding.shape[-1]
        if model.context_dim not in (None, width):
            raise ValueError(
                f"{name}: got embeddings {width} wide, the model {model.family} takes {model.context_dim}; "
                "the text encoder is of another family"
            )
