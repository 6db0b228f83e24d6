"""Trains a small upscaling network on scenes: from a picture that is a little blurred, the sharp one twice as large."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.upscaling import CompactConfig
from nodegraph.diffusion.weights.save import write_file
from nodegraph.training.autoencoder import about
from nodegraph.training.ema import EmaConfig
from nodegraph.training.loop import CHECKPOINT, Draws, Loop, LoopConfig, averaged, follow
from nodegraph.training.scenes import draw_scene, paint, place
from nodegraph.training.styles import FLAT, NIGHT, STICKERS, Style

UPSCALER_LOOP = LoopConfig(
    steps=1500, learning_rate=3e-3, warmup=50, decay=1000, weight_decay=0.0, ema=EmaConfig(highest=0.99)
)


@dataclass(frozen=True)
class UpscalerRecipe:
    """Everything that decides the weights of an upscaler; the defaults are what the bundled one was trained by.

    Small pictures are blurred by up to `blur` pixels and get noise of up to `noise`, as what a decoder draws is not
    sharp. `squares` and `edges` weigh squared errors, without which a network never gets started, and errors of the
    gradients.
    """

    network: CompactConfig = field(default_factory=lambda: CompactConfig(channels=16, convolutions=5, scale=2))
    styles: Sequence[Style] = (FLAT, NIGHT, STICKERS)
    batch: int = 6
    crop: int = 48
    blur: float = 1.0
    noise: float = 0.02
    squares: float = 100.0
    edges: float = 0.5
    loop: LoopConfig = UPSCALER_LOOP
    seed: int = 4


class UpscalingTask(nn.Module):
    """A network learning to draw scenes larger."""

    def __init__(self, recipe: UpscalerRecipe) -> None:
        super().__init__()
        torch.manual_seed(recipe.seed)
        self.network, self.recipe = Compact(recipe.network), recipe
        start_weights(self.network)

    def loss(self, draws: Draws) -> Tensor:
        """Return the absolute and squared error of a batch of crops, and of their gradients."""
        small, large = self.pairs(draws)
        error = self.network(small) - large
        across, down = (error.diff(dim=dim).abs().mean() for dim in (-1, -2))
        plain = error.abs().mean() + self.recipe.squares * error.square().mean()
        loss: Tensor = plain + self.recipe.edges * (across + down)
        return loss

    def pairs(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Draw crops of scenes in [0, 1], small (B, 3, crop, crop) and not quite clean, and large."""
        recipe, rng, scale = self.recipe, draws.numpy, self.recipe.network.scale
        crops = []
        for _ in range(recipe.batch):
            scene, style = draw_scene(rng), recipe.styles[int(rng.integers(len(recipe.styles)))]
            items = place(scene, rng)
            picture = paint(scene, items, style, scale)
            target = items[int(rng.integers(len(items)))]
            left, top = (about(centre, recipe.crop, rng) * scale for centre in (target.x, target.y))
            crops.append(picture[top : top + recipe.crop * scale, left : left + recipe.crop * scale])
        large = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        small = blurred(F.avg_pool2d(large, scale), float(rng.uniform(0.05, recipe.blur)))
        noise = torch.randn(small.shape, generator=draws.torch) * float(rng.uniform(0, recipe.noise))
        return (small + noise).clamp(0, 1), large


@torch.no_grad()
def start_weights(network: Compact) -> None:
    """Draw starting weights that keep the signal's variance; the network begins as nearly the nearest pixels."""
    *inner, last = (layer for layer in network.body if isinstance(layer, nn.Conv2d))
    for layer in (*inner, last):
        nn.init.kaiming_normal_(layer.weight, a=0.25)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    last.weight *= 0.1


def blurred(images: Tensor, deviation: float) -> Tensor:
    """Blur pictures (B, C, H, W) by a Gaussian of this deviation in pixels; the edges are repeated outward."""
    reach = max(1, round(3 * deviation))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).to(images)
    flat = images.flatten(0, 1)[:, None]  # (B * C, 1, H, W)
    padded = F.pad(flat, (reach,) * 4, mode="replicate")
    soft = F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return soft.view(images.shape)


def train_upscaler(directory: Path, recipe: UpscalerRecipe) -> Compact:
    """Train an upscaler, going on where an earlier run stopped."""
    task = UpscalingTask(recipe)
    follow("upscaler", Loop(task, task.loss, recipe.loop, directory / "upscaler"))
    task.load_state_dict(averaged(directory / "upscaler" / CHECKPOINT))
    return task.network.eval()


def export_upscaler(file: Path, network: Compact) -> Path:
    """Write an upscaler in float16, under the names that Real-ESRGAN's files have."""
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    write_file(file, tensors, {"format": "pt"})
    return file


@torch.no_grad()
def gain(network: nn.Module, task: UpscalingTask, count: int = 8) -> float:
    """Return by how many dB the network is nearer to the large pictures than a bicubic enlargement is."""
    errors = torch.zeros(2, dtype=torch.float64)
    for step in range(count):
        small, large = task.pairs(Draws.of(task.recipe.seed + 1, step))
        plain = F.interpolate(small, scale_factor=float(task.recipe.network.scale), mode="bicubic")
        errors += torch.stack([F.mse_loss(made.clamp(0, 1), large) for made in (network(small), plain)]).double()
    return float(10 * torch.log10(errors[1] / errors[0]))
