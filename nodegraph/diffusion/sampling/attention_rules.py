"""Guidance away from what the network makes of a picture when its attention sees less of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nodegraph.diffusion.options.attention import ATTENTION, PERTURBED, Noted, NotedAttention, PerturbedAttention
from nodegraph.diffusion.options.scene import with_option
from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, Moment
from nodegraph.diffusion.sampling.regions import crop
from nodegraph.diffusion.sampling.rules import Rule, with_rule
from nodegraph.diffusion.values import Model

BLURRED = "blurred sample"
"""The purpose of calls for a sample that is blurred where attention went."""
KERNEL = 9
"""Cells a side that the blur reaches over."""


@dataclass(frozen=True)
class SelfAttentionGuidance(Rule):
    """Lead away from the sample blurred where attention went (Hong et al. 2023), `blur` the deviation in cells.

    A model needs the option `NotedAttention` for it.
    """

    scale: float = 0.5
    blur: float = 2.0
    two_sided: ClassVar[bool] = True

    def __call__(self, moment: Moment) -> Tensor:
        """Return the clean sample led away; as it is where it is too small to be blurred."""
        noted: Sequence[Noted] = moment.notes.get(ATTENTION, ())
        negative = moment.sides[NEGATIVE]
        if not noted or min(negative.shape[2:]) <= KERNEL // 2 or not self.scale:
            return moment.clean
        degraded = torch.lerp(negative, blurred(negative, self.blur), salient(noted, negative))
        again = moment.again(degraded + (moment.x - negative), NEGATIVE, BLURRED)
        return moment.clean + (degraded - again) * self.scale


@dataclass(frozen=True)
class PerturbedAttentionGuidance(Rule):
    """Lead away from what the network makes of it when tokens do not see one another (Ahn et al. 2024).

    A model needs the option `PerturbedAttention` for it.
    """

    scale: float = 3.0

    def __call__(self, moment: Moment) -> Tensor:
        """Return the clean sample led away."""
        if not self.scale:
            return moment.clean
        perturbed = moment.again(moment.x, POSITIVE, PERTURBED)
        return moment.clean + (moment.sides[POSITIVE] - perturbed) * self.scale


def with_self_attention_guidance(model: Model, scale: float, blur: float) -> Model:
    """Return the model guided by where its attention goes; `blur` is in latent cells."""
    return with_option(with_rule(model, SelfAttentionGuidance(scale, blur)), NotedAttention())


def with_perturbed_attention_guidance(model: Model, scale: float) -> Model:
    """Return the model guided away from what it makes of a picture without attention."""
    return with_option(with_rule(model, PerturbedAttentionGuidance(scale)), PerturbedAttention())


def salient(noted: Sequence[Noted], like: Tensor) -> Tensor:
    """Return 1 where a cell (B, 1, h, w) of a sample was attended to more than the mean, else 0."""
    mask = torch.zeros(like.shape[0], 1, *like.shape[2:], device=like.device, dtype=like.dtype)
    for one in noted:
        place = crop(mask, one.box)
        above = F.interpolate((one.share > 1.0).to(like.dtype)[:, None], size=place.shape[2:])
        torch.maximum(place, above, out=place)
    return mask


def blurred(x: Tensor, deviation: float) -> Tensor:
    """Return (B, C, h, w) under a Gaussian of so many cells, cut off at `KERNEL`; edges are reflected."""
    if not deviation:
        return x
    reach = KERNEL // 2
    places = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weights = torch.softmax(-0.5 * (places / deviation) ** 2, dim=0)
    channels = x.shape[1]
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, weights.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(rows, weights.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
