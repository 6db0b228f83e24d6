"""EasyCache (Zhou et al. 2025): steps in which a network would change little take what it added the last time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.options.scene import Scene

logger = logging.getLogger(__name__)
STRIDE = 8
"""Of so many cells one is compared along each side."""
SKIPPED = "skipped"
"""What is noted at a level at which the network is not asked."""


@dataclass
class _State:
    """What is remembered in a run, of the part that decides: how much input and output changed, and what was added."""

    first: int | None = None
    seen: Tensor | None = None
    given: Tensor | None = None
    size: float = 0.0
    """Mean absolute value of the last output."""
    rate: float | None = None
    """How much more the output changes than the input."""
    total: float = 0.0
    """The change, as a share of the output, that has been passed over since the network was last asked."""
    added: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class EasyCache:
    """Ask the network again when its output is likely to have changed by the share `threshold`.

    The change is told by that of the input and by how much the output followed it before. It acts between two shares of
    the sampling. One prompt decides for all. With `told` the log tells of the steps that are left out.
    """

    threshold: float = 0.2
    start: float = 0.15
    end: float = 0.95
    told: bool = False
    rank: ClassVar[int] = 0
    whole: ClassVar[bool] = True

    def put_on(self, scene: Scene) -> None:
        """Act about the whole network; any will do."""
        scene.over(partial(self._call, scene))

    def _call(self, scene: Scene, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        parts = scene.call.numbers
        after_start, before_end = scene.within(self.start, 1.0), not scene.within(self.end, 1.0)
        if scene.call.purpose or not parts or not before_end:
            return run(x)
        state: _State = scene.stage.memory.setdefault(type(self), _State())
        changed = None
        if after_start:
            ready = all(part in state.added and state.added[part].shape[2:] == x.shape[2:] for part in parts)
            state.first = parts[0] if state.first is None else state.first
            if state.first in parts:
                changed = _difference(_sampled(x, parts, state.first), state.seen)
            if ready and (SKIPPED in scene.notes or self._small(state, changed)):
                if self.told and SKIPPED not in scene.notes:
                    logger.info("left out at sigma %.4g, changed by %.3f so far", scene.call.sigma, state.total)
                scene.notes[SKIPPED] = True
                added = torch.cat([state.added[part] for part in parts])
                return x[:, : added.shape[1]] + added
        output = run(x)
        _remember(state, parts, x, output, changed)
        return output

    def _small(self, state: _State, changed: float | None) -> bool:
        """Tell whether what the output is likely to have changed is still below the threshold."""
        if changed is None or state.rate is None or not state.size:
            return False
        state.total += state.rate * changed / state.size
        if state.total < self.threshold:
            return True
        state.total = 0.0
        return False


def _remember(state: _State, parts: tuple[int, ...], x: Tensor, output: Tensor, changed: float | None) -> None:
    added = output - x[:, : output.shape[1]]
    state.added.update(zip(parts, added.chunk(len(parts)), strict=True))
    if state.first is None or state.first not in parts:
        return
    given = _sampled(output, parts, state.first)
    followed = _difference(given, state.given)
    if followed is not None and changed:
        state.rate = followed / changed
    state.seen, state.given = _sampled(x, parts, state.first).clone(), given.clone()
    state.size = float(output.float().abs().mean())


def _sampled(x: Tensor, parts: tuple[int, ...], part: int) -> Tensor:
    """Return some of a part's cells, in those of the channels that the noisy sample has."""
    return x.chunk(len(parts))[parts.index(part)][..., ::STRIDE, ::STRIDE].float()


def _difference(now: Tensor, before: Tensor | None) -> float | None:
    """Return the mean absolute difference; None where there was nothing, or of another size."""
    return None if before is None or before.shape != now.shape else float((now - before).abs().mean())
