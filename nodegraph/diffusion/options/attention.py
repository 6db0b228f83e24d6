"""Options that act on attention: what is noted of it, what is taken from it, how strong its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.options.places import SelfAttention, cross_attentions, needed
from nodegraph.diffusion.options.scene import Scene
from nodegraph.diffusion.sampling.contract import NEGATIVE
from nodegraph.diffusion.sampling.regions import Box

ATTENTION = "attention"
"""What `NotedAttention` leaves: a list of `Noted`."""
PERTURBED = "perturbed attention"
"""The purpose of calls whose tokens see themselves alone in the middle of the network."""
MIDDLE = "attention of tokens to one another in the middle of the network"


@dataclass(frozen=True, slots=True)
class Noted:
    """How much tokens (B, h, w) were attended to by all together, and where in the sample they are; None: all of it."""

    box: Box | None
    share: Tensor


@dataclass(frozen=True)
class NotedAttention:
    """Note, for the negative side, how much each token of the lowest resolution is attended to."""

    rank: ClassVar[int] = 0
    whole: ClassVar[bool] = True

    def put_on(self, scene: Scene) -> None:
        """Act in the first self-attention of the middle."""
        middle = [place for place in scene.self_attentions if place.middle and place.first]
        place = needed(middle, "Self-attention guidance", MIDDLE)[0]
        scene.after(place.mix, partial(self._note, scene, place))

    def _note(self, scene: Scene, place: SelfAttention, output: Tensor, q: Tensor, k: Tensor, v: Tensor) -> None:
        if scene.call.purpose:
            return
        count = len(scene.call.parts)
        for (side, box), asking, asked in zip(scene.call.parts, q.chunk(count), k.chunk(count), strict=True):
            if side == NEGATIVE:
                share = attended(asking, asked).unflatten(-1, place.grid)
                scene.notes.setdefault(ATTENTION, []).append(Noted(box, share))


def attended(q: Tensor, k: Tensor) -> Tensor:
    """Return how much each of the tokens k (B, heads, T, C) is attended to by all q, the mean over heads: (B, T)."""
    total = torch.zeros(k.shape[0], k.shape[2], device=k.device)
    for asking, asked in zip(q.unbind(1), k.unbind(1), strict=True):  # head by head, which takes less memory
        total += (asking.float() @ asked.float().mT * q.shape[-1] ** -0.5).softmax(-1).sum(1)
    return total / q.shape[1]


@dataclass(frozen=True)
class PerturbedAttention:
    """Let tokens of the lowest resolution see themselves alone, in calls made for this purpose."""

    rank: ClassVar[int] = 0
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        """Act in each self-attention of the middle."""
        for place in needed([place for place in scene.self_attentions if place.middle], "Perturbed attention", MIDDLE):
            scene.after(place.mix, partial(self._perturbed, scene))

    def _perturbed(self, scene: Scene, output: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
        return v if scene.call.purpose == PERTURBED else None


@dataclass(frozen=True)
class _Strengths:
    """Scale what attention asks, what it compares that with, what it takes, and what comes out."""

    q: float = 1.0
    k: float = 1.0
    v: float = 1.0
    out: float = 1.0
    rank: ClassVar[int] = 2
    whole: ClassVar[bool] = False

    def _scaled(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scales = zip((q, k, v), (self.q, self.k, self.v), strict=True)
        q, k, v = (tensor if scale == 1.0 else tensor * scale for tensor, scale in scales)
        return q, k, v

    def _scaled_output(self, output: Tensor, *inputs: Tensor) -> Tensor | None:
        return None if self.out == 1.0 else output * self.out


@dataclass(frozen=True)
class SelfAttentionStrengths(_Strengths):
    """Scale the parts of attention of tokens to one another."""

    def put_on(self, scene: Scene) -> None:
        """Act in each self-attention."""
        for place in needed(scene.self_attentions, "Multiplying self-attention", "attention of tokens to one another"):
            scene.before(place.mix, self._scaled)
            scene.after(place.attention, self._scaled_output)


@dataclass(frozen=True)
class CrossAttentionStrengths(_Strengths):
    """Scale the parts of attention to the prompt."""

    def put_on(self, scene: Scene) -> None:
        """Act in each attention to the prompt."""
        for attention in needed(cross_attentions(scene.module), "Multiplying cross-attention", "attention to a prompt"):
            scene.before(attention.mix, self._scaled)
            scene.after(attention, self._scaled_output)
