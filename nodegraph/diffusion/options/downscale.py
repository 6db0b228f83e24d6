"""Deep Shrink (kohya 2023): early steps run a part of the network on a smaller map, which lays large pictures out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from nodegraph.diffusion.images import Resampling, resize
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options.places import unet
from nodegraph.diffusion.options.scene import Scene


@dataclass(frozen=True)
class Downscale:
    """Divide the sides of the map by `factor` at an input block, and go back to full size where features join.

    It acts between two shares of the sampling. With `after_skip` what the block keeps for the way up has its full size.
    """

    block: int = 3
    factor: float = 2.0
    start: float = 0.0
    end: float = 0.35
    after_skip: bool = True
    down: Resampling = "bicubic"
    up: Resampling = "bicubic"
    rank: ClassVar[int] = -1
    whole: ClassVar[bool] = False

    def put_on(self, scene: Scene) -> None:
        """Act at the block and where features join; raise ValueError where there is no such block."""
        network = unet(scene.module, "Downscaling")
        count = len(network.input_blocks)
        if not 0 <= self.block < count:
            raise ValueError(
                f"block_number {self.block}: the model's network has no such input block, expected 1 to {count - 1}"
            )
        if self.factor == 1.0:
            return
        if self.after_skip:
            scene.before(_next(network, self.block), partial(self._inputs, scene))
        else:
            scene.after(network.input_blocks[self.block], partial(self._output, scene))
        scene.before(network.join, self._joined)

    def _inputs(self, scene: Scene, x: Tensor, *rest: Any) -> tuple[Any, ...] | None:
        return (self._smaller(x), *rest) if scene.within(self.start, self.end) else None

    def _output(self, scene: Scene, x: Tensor, *inputs: Any) -> Tensor | None:
        return self._smaller(x) if scene.within(self.start, self.end) else None

    def _smaller(self, x: Tensor) -> Tensor:
        height, width = (max(1, round(side / self.factor)) for side in x.shape[-2:])
        return resize(x, width, height, self.down)

    def _joined(self, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor] | None:
        return (resize(x, skip.shape[-1], skip.shape[-2], self.up), skip) if x.shape[2:] != skip.shape[2:] else None


def _next(network: UNet, block: int) -> nn.Module:
    """Return what is called after an input block."""
    return network.input_blocks[block + 1] if block + 1 < len(network.input_blocks) else network.middle_block
