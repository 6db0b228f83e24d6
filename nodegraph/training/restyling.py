"""Teaches a trained model another style: the same scenes from the same words, drawn in another way.

The autoencoder of a small model knows nothing but its own pictures, so it learns the new style first, without
unlearning the old one: latents of the first style stay what they were, and latents between the two styles are decoded
to pictures between them. So both models speak of the same latents, and what lies between them means something. Then
the UNet goes on learning, on latents of the new style; the text encoder stays as it is.
"""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.training.autoencoder import ReconstructionConfig, crops_in, kl_divergence, pixel_loss
from nodegraph.training.denoising import DenoisingConfig, DenoisingTask
from nodegraph.training.ema import EmaConfig
from nodegraph.training.evaluation import Networks
from nodegraph.training.latents import cached_scenes
from nodegraph.training.loop import CHECKPOINT, Draws, Loop, LoopConfig, averaged, follow
from nodegraph.training.polishing import PolishingConfig, PolishingTask
from nodegraph.training.styles import FLAT, NIGHT, Style

AUTOENCODER_LOOP = LoopConfig(steps=2300, learning_rate=1.5e-3, warmup=30, decay=1150, ema=EmaConfig(highest=0.98))
UNET_LOOP = LoopConfig(steps=1000, learning_rate=6e-4, warmup=30, decay=600, ema=EmaConfig(highest=0.99))
POLISHING_LOOP = LoopConfig(steps=450, learning_rate=5e-4, warmup=10, decay=250, ema=EmaConfig(highest=0.97))


@dataclass(frozen=True)
class BilingualConfig:
    """Say how an autoencoder learns a second style.

    `anchor` weighs how far scaled latents of the first style move from where they were; `noise` is the deviation of
    the noise that scaled latents are decoded with.
    """

    pixels: ReconstructionConfig = field(default_factory=lambda: ReconstructionConfig(batch=5))
    anchor: float = 1.0
    noise: float = 0.1


@dataclass(frozen=True)
class RestyleRecipe:
    """Everything that decides the weights of a restyled model; the defaults are what `night` was trained by."""

    style: Style = NIGHT
    bilingual: BilingualConfig = field(default_factory=BilingualConfig)
    denoising: DenoisingConfig = field(default_factory=lambda: DenoisingConfig(batch=16))
    polishing: PolishingConfig = field(default_factory=PolishingConfig)
    autoencoder_loop: LoopConfig = AUTOENCODER_LOOP
    unet_loop: LoopConfig = UNET_LOOP
    polishing_loop: LoopConfig = POLISHING_LOOP
    scenes: int = 6000
    seed: int = 2


class BilingualTask(nn.Module):
    """An autoencoder learning a second style beside its first."""

    def __init__(self, autoencoder: Autoencoder, style: Style, config: BilingualConfig) -> None:
        super().__init__()
        self.autoencoder, self.style, self.config = autoencoder, style, config
        self._first = (copy.deepcopy(autoencoder).eval().requires_grad_(False),)  # in a tuple: no part of the state

    def loss(self, draws: Draws) -> Tensor:
        """Return the loss of crops of new scenes in both styles, and of what lies between them."""
        config, scale = self.config, self.autoencoder.config.scale_factor
        old, new = crops_in(draws, config.pixels, (FLAT, self.style))
        with torch.no_grad():
            kept = self._first[0].encode(old).mean
        told, learnt = self.autoencoder.encode(old), self.autoencoder.encode(new)
        share = torch.rand((len(old), 1, 1, 1), generator=draws.torch)
        latents = torch.cat([kept, learnt.mean, torch.lerp(kept, learnt.mean, share)])
        noise = torch.randn(latents.shape, generator=draws.torch) * config.noise / scale
        pixels = pixel_loss(
            self.autoencoder.decode(latents + noise), torch.cat([old, new, torch.lerp(old, new, share)]), config.pixels
        )
        moved = F.mse_loss(told.mean * scale, kept * scale)
        return pixels + config.anchor * moved + config.pixels.kl * kl_divergence(learnt)


def restyle(directory: Path, base: Networks, recipe: RestyleRecipe) -> Networks:
    """Run the stages, going on where an earlier run stopped; return the networks of the new style.

    The networks of `base` are changed.
    """
    torch.manual_seed(recipe.seed)
    vae = base.vae.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bilingual = BilingualTask(vae, recipe.style, recipe.bilingual)
    follow("autoencoder", Loop(bilingual, bilingual.loss, recipe.autoencoder_loop, directory / "autoencoder"))
    bilingual.load_state_dict(averaged(directory / "autoencoder" / CHECKPOINT))
    data = cached_scenes(vae, recipe.scenes, recipe.seed, directory / "latents.pt", recipe.style)
    unet = base.unet.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    denoising = DenoisingTask(unet, base.clip, clip_tokenizer(), data, recipe.denoising)
    follow("unet", Loop(denoising, denoising.loss, recipe.unet_loop, directory / "unet"))
    denoising.load_state_dict(averaged(directory / "unet" / CHECKPOINT))
    polishing = PolishingTask(vae, unet, base.clip, clip_tokenizer(), recipe.polishing, recipe.style)
    follow("decoder", Loop(polishing, polishing.loss, recipe.polishing_loop, directory / "decoder"))
    polishing.load_state_dict(averaged(directory / "decoder" / CHECKPOINT))
    return Networks(unet, base.clip, vae, base.prediction)
