"""A run of a sampler, whatever chose its noise levels, its noise and its guidance."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nodegraph.diffusion.interruption import Watch, bringing, interruptible
from nodegraph.diffusion.options.scene import Scene, Stage, staged
from nodegraph.diffusion.registry import Sampler
from nodegraph.diffusion.sampling.concat import with_concat
from nodegraph.diffusion.sampling.contract import FlowPath, NoiseSource, Path, Step, Table
from nodegraph.diffusion.sampling.denoiser import denoiser_of, path_of
from nodegraph.diffusion.sampling.guidance import Guided
from nodegraph.diffusion.sampling.inpaint import Inpainting, mask_by_level
from nodegraph.diffusion.sampling.noise import SEEDS, BrownianNoise, GaussianNoise, generator, noise_for
from nodegraph.diffusion.sampling.regions import resized_mask, to_batch
from nodegraph.diffusion.sampling.relief import Relieved
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Conditioning, Guider, Latent, LatentFormat, Model, Noise, Origin

Check = Callable[[], object]


class Sampling(Iterator[Step]):
    """A run of a sampler: iterate to go on by a step, ask for the `result` at the end.

    `steps` tells how many levels there are to reach, and `done` how many have been: some samplers take steps of their
    own between them. The steps' samples are what the network sees, on its device; `in_latent_space` turns one into a
    latent for a preview. To cancel, stop and `close`, so that the network is given back.
    """

    def __init__(
        self, levels: Sequence[float], latent_format: LatentFormat, run: Generator[Step, None, Latent]
    ) -> None:
        self.steps, self.done, self.latent_format = max(len(levels) - 1, 0), 0, latent_format
        self._levels, self._run = levels, run
        self._result: Latent | None = None
        self._clean: Tensor | None = None

    def __next__(self) -> Step:
        """Do the next step."""
        try:
            step = next(self._run)
        except StopIteration as end:
            self._result = self._result or end.value
            raise
        self._clean = step.clean
        while self.done < self.steps and self._reached(self.done + 1, step.sigma):
            self.done += 1
        return step

    def _reached(self, index: int, sigma: float) -> bool:
        level, before = self._levels[index], self._levels[index - 1]
        return sigma <= level if level < before else sigma >= level

    def result(self) -> Latent:
        """Return the final latent, on the CPU, running what is left of the steps first."""
        for _ in self:
            pass
        if self._result is None:
            raise RuntimeError("the sampling failed before its end")
        return self._result

    def clean(self) -> Latent:
        """Return the clean sample that the last step led to, as a latent; the result where there was no step."""
        result = self.result()
        if self._clean is None:
            return result
        return replace(result, samples=self.in_latent_space(self._clean).cpu())

    def close(self) -> None:
        """Give the network back; what is left of the steps will not be done."""
        self._run.close()

    def in_latent_space(self, samples: Tensor) -> Tensor:
        """Return samples of a step (B, C, h, w) in the autoencoder's own space."""
        return from_network(samples, self.latent_format)


def run(
    guider: Guider,
    latent: Latent,
    *,
    noise: Noise,
    sampler: Sampler,
    levels: Sequence[float],
    check: Check | None = None,
) -> Sampling:
    """Prepare a run of a sampler over `levels` on `latent`; nothing is computed until the first step.

    Without levels the latent stays as it is; with a single one it is only noised. `check` is called now and then
    within steps, and raises to stop. Raises ValueError for conditionings and latents of another family of models.
    """
    model = guider.model
    _check_width(model, guider.positive, "positive")
    _check_width(model, guider.negative, "negative")
    for rule in model.guidance:
        for name, conditioning in rule.prompts.items():
            _check_width(model, conditioning, name)
    task = _Task(guider, sampler, without_repeats(levels), noise, check)
    return Sampling(task.levels, model.latent, _run(task, _fitted(latent, model.latent)))


def without_repeats(levels: Sequence[float]) -> list[float]:
    """Return the levels, of neighbours that are the same only the first."""
    return [level for level, before in zip(levels, [None, *levels], strict=False) if level != before]


@dataclass(frozen=True)
class _Task:
    guider: Guider
    sampler: Sampler
    levels: list[float]
    noise: Noise
    check: Check | None


@torch.no_grad()
def _run(task: _Task, latent: Latent) -> Generator[Step, None, Latent]:
    if not task.levels:
        return latent
    model = task.guider.model
    path, device = path_of(model), model.network.device
    clean = to_network(latent.samples.float(), model.latent).to(device)
    noise = noise_for(task.noise, latent).to(device, torch.float32)
    x = noised_latent(path, table_of(model.schedule), clean, noise, task.levels[0])
    if len(task.levels) > 1:
        stage = Stage()
        with _lent(model, task.check, stage) as network:
            for step in _steps(task, _denoiser(task, network, stage, latent, clean, noise), x, path):
                x = step.x
                yield step
    x = x / path.alpha(task.levels[-1])  # not 1 only where a flow model stops early
    samples = from_network(x, model.latent).cpu()
    indices = latent.batch_index or range(len(samples))
    origins = latent.origins if task.noise.silent else tuple(Origin(task.noise.seed, index) for index in indices)
    return replace(latent, samples=samples, origins=origins)


def _lent(model: Model, check: Check | None, stage: Stage) -> Relieved:
    """Return the model's network, to be entered, as a scene where options act in it."""

    def lend(stack: ExitStack) -> nn.Module | Scene:
        module = stack.enter_context(model.network.lend(None if check is None else bringing(check)))
        if check is not None:
            stack.enter_context(interruptible(module, check))
        if not model.options:
            return module
        return stack.enter_context(staged(module, model.options, table_of(model.schedule), stage))

    said = check.said if isinstance(check, Watch) else lambda _: None
    return Relieved(model.network, lend, whole=any(option.whole for option in model.options), said=said)


def _steps(task: _Task, denoise: Guided | Inpainting, x: Tensor, path: Path) -> Iterator[Step]:
    """Start the sampler with its options and with those things that it names."""
    sampler = task.sampler
    function = sampler.resolve()
    named = inspect.signature(function).parameters
    _check_options(sampler, named)
    options = dict(sampler.options)
    if "noise" in named:
        options["noise"] = _noise_source(task, x)
    offered = {"path": path, "both": denoise.both, "table": table_of(task.guider.model.schedule)}
    options |= {name: value for name, value in offered.items() if name in named}
    return function(denoise, x, task.levels, **options)


def _check_options(sampler: Sampler, named: Mapping[str, inspect.Parameter]) -> None:
    known = [name for name, parameter in named.items() if parameter.default is not parameter.empty and name != "path"]
    unknown = [name for name in sampler.options if name not in known]
    if unknown:
        told = f"it takes {', '.join(known)}" if known else "it takes none"
        raise ValueError(f"the sampler {sampler.name!r} has no option {unknown[0]!r}: {told}")


def _noise_source(task: _Task, x: Tensor) -> NoiseSource:
    if task.sampler.noise == "gaussian":
        return GaussianNoise(task.noise.seed, x.device)
    positive = [level for level in task.levels if level > 0]
    device = "cpu" if task.sampler.noise == "brownian" else x.device
    return BrownianNoise(x.shape, min(positive), max(positive), task.noise.seed, device)


def _denoiser(
    task: _Task, module: Relieved, stage: Stage, latent: Latent, clean: Tensor, noise: Tensor
) -> Guided | Inpainting:
    guider = task.guider
    model = guider.model
    network = denoiser_of(model, module)
    guided = Guided(
        network,
        guider.positive,
        guider.negative,
        guider.cfg,
        table=network.table,
        like=clean,
        dtype=network.dtype,
        rules=model.guidance,
        start=model.guidance_start,
        end=model.guidance_end,
        prepare=lambda conditioning: with_concat(conditioning, model, latent, clean),
        stage=stage if model.options else None,
    )
    if latent.noise_mask is None:
        return guided
    mask = to_batch(resized_mask(latent.noise_mask, *clean.shape[-2:]), len(clean))[:, None].to(clean)
    if task.sampler.fresh_inpaint_noise:
        noise = torch.randn(noise.shape, generator=generator((task.noise.seed + 1) % SEEDS)).to(noise)
    by_level = mask_by_level(mask, model.differential, network.table, task.levels) if model.differential else None
    return Inpainting(guided, by_level or (lambda sigma: mask), clean, noise, path_of(model))


def noised_latent(path: Path, table: Table, clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Return the sample to start from; at the model's largest level with the variance its training had there."""
    largest = math.isclose(sigma, table.sigma_max, rel_tol=1e-5) or sigma > table.sigma_max
    if largest and not isinstance(path, FlowPath):
        return clean + noise * math.sqrt(1 + sigma**2)
    return path.mix(clean, noise, sigma)


@torch.no_grad()
def with_noise(model: Model, latent: Latent, noise: Noise, levels: Sequence[float]) -> Latent:
    """Return the latent with the noise between the first and the last level, or of the only one."""
    if not levels:
        return latent
    latent = _fitted(latent, model.latent)
    sigma = abs(levels[0] - levels[-1]) if len(levels) > 1 else levels[0]
    clean = to_network(latent.samples.float(), model.latent)
    x = path_of(model).mix(clean, noise_for(noise, latent).to(clean), sigma)
    return replace(latent, samples=torch.nan_to_num(from_network(x, model.latent), posinf=0.0, neginf=0.0))


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
