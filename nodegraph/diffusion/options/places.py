"""Where in a network options act; the only place that knows how networks are built."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

from nodegraph.diffusion.models.unet import Attention, Mix, SpatialTransformer, TransformerBlock, UNet

FITTING = "Stable Diffusion 1 and 2, or SDXL"
"""The families that have a UNet, for people."""
PlaceT = TypeVar("PlaceT")


class SelfAttention:
    """A layer in which tokens attend to one another: `attention(tokens, context)`, and in it `mix(q, k, v)`.

    `whole` is the grid of the map's cells (h, w), `grid` that of the tokens as an option about the layer has cut them;
    `holder` is called with the map. `middle` marks the lowest resolution, `first` the first layer of a holder.
    """

    def __init__(self, name: str, attention: Attention, holder: SpatialTransformer, middle: bool, first: bool) -> None:
        self.name, self.attention, self.holder = name, attention, holder
        self.middle, self.first = middle, first
        self.whole = self.grid = (0, 0)

    @property
    def mix(self) -> Mix:
        """What the layer does with its projections."""
        return self.attention.mix

    def look(self, x: Tensor, *inputs: object) -> None:
        """Take the grid of a map (B, C, h, w)."""
        self.whole = self.grid = (x.shape[-2], x.shape[-1])


def self_attentions(network: nn.Module) -> list[SelfAttention]:
    """Return the places where a network's tokens attend to one another."""
    middle = set(network.middle_block.modules()) if isinstance(network, UNet) else set()
    found = []
    for path, holder in network.named_modules():
        if isinstance(holder, SpatialTransformer):
            for index, block in enumerate(holder.transformer_blocks):
                if isinstance(block, TransformerBlock):
                    name = f"{path}.transformer_blocks.{index}.attn1"
                    found.append(SelfAttention(name, block.attn1, holder, holder in middle, index == 0))
    return found


def cross_attentions(network: nn.Module) -> list[Attention]:
    """Return the layers in which a network's tokens attend to the prompt's."""
    return [block.attn2 for block in network.modules() if isinstance(block, TransformerBlock)]


def unet(network: nn.Module, title: str) -> UNet:
    """Return the network, which is to be a UNet; `title` names who asks."""
    if not isinstance(network, UNet):
        raise ValueError(
            f"{title} acts between the blocks of a UNet, but the model's network is a {type(network).__name__}; "
            f"a model of {FITTING} would fit"
        )
    return network


def needed(places: list[PlaceT], title: str, what: str) -> list[PlaceT]:
    """Return the places; raise ValueError where there are none."""
    if not places:
        raise ValueError(
            f"{title} acts on {what}, of which the model's network has none; a model of {FITTING} would fit"
        )
    return places
