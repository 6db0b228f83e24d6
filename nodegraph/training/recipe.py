"""The recipe of the bundled model `shapes`: four stages, each resumable, each kept in a folder of its own."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.training import workers
from nodegraph.training.autoencoder import (
    ReconstructionConfig,
    crops,
    psnr,
    reconstruction_loss,
    start_weights,
    to_tensor,
    whiten,
)
from nodegraph.training.denoising import DenoisingConfig, DenoisingTask
from nodegraph.training.ema import EmaConfig
from nodegraph.training.latents import cached_scenes, draw_scenes, encode_scenes
from nodegraph.training.loop import CHECKPOINT, Draws, Loop, LoopConfig, averaged, follow
from nodegraph.training.polishing import PolishingConfig, PolishingTask
from nodegraph.training.reading import ReadingConfig, ReadingTask
from nodegraph.training.scenes import render

logger = logging.getLogger(__name__)

AUTOENCODER, LATENTS = "autoencoder.pt", "latents.pt"


VAE = AutoencoderConfig(channels=16, channel_multipliers=(1, 2, 4, 4), res_blocks=1, groups=4)
CLIP = ClipTextConfig(width=64, layers=4, heads=4, mlp_width=256)
UNET = UNetConfig(
    channels=64,
    channel_multipliers=(1, 2, 2),
    res_blocks=1,
    transformer_depths=(0, 1, 1),
    context_dim=64,
    heads=4,
    groups=16,
)
AUTOENCODER_LOOP = LoopConfig(steps=4200, learning_rate=2e-3, warmup=50, decay=2100, ema=EmaConfig(highest=0.99))
TEXT_LOOP = LoopConfig(steps=1000, learning_rate=2e-3, decay=500, weight_decay=0.0, ema=EmaConfig(highest=0.99))
UNET_LOOP = LoopConfig(steps=6300, learning_rate=1e-3, warmup=200, decay=3300, ema=EmaConfig(highest=0.998))

POLISHING_LOOP = LoopConfig(steps=950, learning_rate=1e-3, warmup=20, decay=650, ema=EmaConfig(highest=0.98))


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of the bundled model; the defaults are what it was trained by."""

    vae: AutoencoderConfig = VAE
    clip: ClipTextConfig = CLIP
    unet: UNetConfig = UNET
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    denoising: DenoisingConfig = field(default_factory=DenoisingConfig)
    polishing: PolishingConfig = field(default_factory=PolishingConfig)
    autoencoder_loop: LoopConfig = AUTOENCODER_LOOP
    text_loop: LoopConfig = TEXT_LOOP
    unet_loop: LoopConfig = UNET_LOOP
    polishing_loop: LoopConfig = POLISHING_LOOP
    scenes: int = 20_000
    probes: int = 1000  # scenes that whitening and the stages' own reports look at
    seed: int = 1


def train(directory: Path, recipe: Recipe, count: int) -> None:
    """Run all stages in `count` processes, going on where an earlier run stopped."""
    directory.mkdir(parents=True, exist_ok=True)
    train_autoencoder(directory, recipe)
    for stage in (train_text, train_unet, polish_decoder):
        workers.run_workers(stage, (directory, recipe), count)


def train_autoencoder(directory: Path, recipe: Recipe) -> None:
    """Train the autoencoder, make its latents white, encode the scenes; nothing where all of it is done."""
    path = directory / AUTOENCODER
    if not path.exists():
        torch.manual_seed(recipe.seed)
        autoencoder = Autoencoder(recipe.vae).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        start_weights(autoencoder, torch.Generator().manual_seed(recipe.seed))

        def loss(draws: Draws) -> Tensor:
            images = crops(draws, recipe.reconstruction)
            side = recipe.reconstruction.crop // recipe.vae.downscale
            shape = (len(images), recipe.vae.latent_channels, side, side)
            noise = torch.randn(shape, generator=draws.torch)
            return reconstruction_loss(autoencoder, images, recipe.reconstruction, noise)

        follow("autoencoder", Loop(autoencoder, loss, recipe.autoencoder_loop, directory / "autoencoder"))
        autoencoder.load_state_dict(averaged(directory / "autoencoder" / CHECKPOINT))
        whiten(autoencoder, encode_scenes(autoencoder, draw_scenes(recipe.probes, recipe.seed + 1), recipe.seed + 1))
        _save(autoencoder, path)
        logger.info(
            "autoencoder: PSNR %.1f dB on scenes kept out of training", _held_out_psnr(autoencoder, recipe.probes // 25)
        )
    cached_scenes(load_autoencoder(directory, recipe), recipe.scenes, recipe.seed, directory / LATENTS)


def train_text(directory: Path, recipe: Recipe) -> None:
    """Teach the text encoder to read captions."""
    torch.manual_seed(recipe.seed)
    task = ReadingTask(ClipText(recipe.clip), clip_tokenizer(), recipe.reading)
    loop = Loop(task, task.loss, recipe.text_loop, directory / "text")
    follow("text", loop)
    if not workers.rank():
        rng = np.random.default_rng(recipe.seed)
        with loop.ema.swapped_in(task):
            accuracy = task.accuracy(draw_scenes(recipe.probes // 5, recipe.seed + 2, "held out"), rng)
        logger.info("text: %.1f %% of captions kept out of training read without a fault", 100 * accuracy)


def train_unet(directory: Path, recipe: Recipe) -> None:
    """Train the UNet on the cached latents."""
    torch.manual_seed(recipe.seed)
    unet = UNet(recipe.unet).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = cached_scenes(load_autoencoder(directory, recipe), recipe.scenes, recipe.seed, directory / LATENTS)
    task = DenoisingTask(unet, load_text(directory, recipe), clip_tokenizer(), data, recipe.denoising)
    follow("unet", Loop(task, task.loss, recipe.unet_loop, directory / "unet"))


def polish_decoder(directory: Path, recipe: Recipe) -> None:
    """Let the decoder learn from latents that the trained UNet has redrawn."""
    torch.manual_seed(recipe.seed)
    networks = (load_autoencoder(directory, recipe), load_unet(directory, recipe), load_text(directory, recipe))
    task = PolishingTask(*networks, clip_tokenizer(), recipe.polishing)
    follow("decoder", Loop(task, task.loss, recipe.polishing_loop, directory / "decoder"))


def load_polished(directory: Path, recipe: Recipe) -> Autoencoder:
    """Load the autoencoder of a training folder with its decoder as polished last."""
    autoencoder = Autoencoder(recipe.vae)
    autoencoder.load_state_dict(_part(averaged(directory / "decoder" / CHECKPOINT), "autoencoder."))
    return autoencoder


def load_autoencoder(directory: Path, recipe: Recipe) -> Autoencoder:
    """Load the autoencoder of a training folder as its latents were encoded."""
    autoencoder = Autoencoder(recipe.vae)
    autoencoder.load_state_dict(torch.load(directory / AUTOENCODER, weights_only=True))
    return autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def load_text(directory: Path, recipe: Recipe) -> ClipText:
    """Load the averaged text encoder of a training folder."""
    text = ClipText(recipe.clip)
    text.load_state_dict(_part(averaged(directory / "text" / CHECKPOINT), "text."))
    return text


def load_unet(directory: Path, recipe: Recipe) -> UNet:
    """Load the averaged UNet of a training folder."""
    unet = UNet(recipe.unet)
    unet.load_state_dict(_part(averaged(directory / "unet" / CHECKPOINT), "unet."))
    return unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _save(module: nn.Module, path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(module.state_dict(), partial)
    partial.replace(path)


def _held_out_psnr(autoencoder: Autoencoder, count: int) -> float:
    rng = np.random.default_rng(0)
    pictures = [render(scene, rng) for scene in draw_scenes(count, 0, "held out")]
    return psnr(autoencoder, to_tensor(np.stack(pictures)))
