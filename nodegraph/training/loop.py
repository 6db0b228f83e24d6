"""The optimizer loop: warm-up, constant rate, linear decay to zero; stops and goes on bit for bit.

Every random draw of a step comes from generators seeded by (seed, step, worker), so a checkpoint holds only weights,
optimizer and averages. A checkpoint is written under a temporary name and renamed: a killed run leaves the last whole
one.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.training import workers
from nodegraph.training.ema import Ema, EmaConfig

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class LoopConfig:
    """Say how long and how fast to learn; `decay` is the number of last steps over which the rate falls to zero."""

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 100
    decay: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: EmaConfig = field(default_factory=EmaConfig)
    seed: int = 0
    save_every: int = 500
    log_every: int = 50

    def __post_init__(self) -> None:
        """Refuse lengths that cannot be meant."""
        if self.steps < 1 or self.decay < 0 or self.warmup < 0:
            raise ValueError(
                f"expected steps >= 1, warmup >= 0, decay >= 0; got {self.steps}, {self.warmup}, {self.decay}"
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rising = (step + 1) / self.warmup if step < self.warmup else 1.0
        falling = (self.steps - step) / (self.decay + 1) if step >= self.steps - self.decay else 1.0
        return self.learning_rate * min(rising, falling)


@dataclass(frozen=True)
class Draws:
    """The random sources of one step of one worker: the same again whenever the step is run again."""

    step: int
    torch: torch.Generator
    numpy: np.random.Generator

    @classmethod
    def of(cls, seed: int, step: int, worker: int = 0) -> "Draws":
        """Seed both sources by (seed, step, worker)."""
        words = np.random.SeedSequence((seed, step, worker)).generate_state(2, np.uint64)
        return cls(step, torch.Generator().manual_seed(int(words[0])), np.random.default_rng(int(words[1])))


@dataclass(frozen=True)
class Report:
    """What a log line tells: the step just done, its mean loss since the last report, steps per second."""

    step: int
    loss: float
    rate: float
    speed: float


class Loop:
    """Trains a module by a loss of the step's draws."""

    def __init__(self, module: nn.Module, loss: Callable[[Draws], Tensor], config: LoopConfig, directory: Path) -> None:
        self.module, self.loss, self.config, self.directory = module, loss, config, directory
        self.parameters = [value for value in module.parameters() if value.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.learning_rate, config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.ema = Ema(module, config.ema)
        self.step = 0

    def run(self) -> Iterator[Report]:
        """Go on from the directory's checkpoint, if any, to the last step; save as often as told and at the end."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if (self.directory / CHECKPOINT).exists():
            self.resume()
        self.module.train()
        total, since, start = 0.0, 0, time.perf_counter()
        while self.step < self.config.steps:
            total += self.advance()
            since += 1
            if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                speed = since / (time.perf_counter() - start)
                yield Report(self.step, total / since, self.config.rate(self.step - 1), speed)
                total, since, start = 0.0, 0, time.perf_counter()
            if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                self.save()

    def advance(self) -> float:
        """Take one optimizer step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step)
        loss = self.loss(Draws.of(self.config.seed, self.step, workers.rank()))
        loss.backward()
        workers.average_gradients(self.parameters)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.module)
        self.step += 1
        return loss.item()

    def save(self) -> Path:
        """Write the checkpoint, whole or not at all; of several workers, the first one writes."""
        path = self.directory / CHECKPOINT
        if workers.rank():
            return path
        partial = path.with_suffix(".partial")
        state = {"step": self.step, "module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"ema": self.ema.state_dict()}, partial)
        partial.replace(path)
        return path

    def resume(self) -> None:
        """Take everything from the directory's checkpoint."""
        path = self.directory / CHECKPOINT
        try:
            state = torch.load(path, weights_only=True)
            self.module.load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.ema.load_state_dict(state["ema"])
            self.step = state["step"]
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{path}: of another training; remove it or choose another folder") from error
        logger.info("going on at step %d from %s", self.step, path)


def averaged(path: Path) -> dict[str, Tensor]:
    """Read the averaged parameters of a checkpoint file."""
    state = torch.load(path, weights_only=True)
    return dict(state["ema"]["shadow"])


def follow(stage: str, loop: Loop) -> None:
    """Run a loop to its end; the first worker tells the log how it goes."""
    for report in loop.run():
        if not workers.rank():
            logger.info("%s: step %d of %d, loss %.4f, rate %.2e, %.2f steps/s",
                        stage, report.step, loop.config.steps, report.loss, report.rate, report.speed)  # fmt: skip
